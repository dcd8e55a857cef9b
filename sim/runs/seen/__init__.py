"""What records show beyond a histogram, counted where they are made."""
