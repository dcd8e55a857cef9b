"""What a person reads of a run: summary, HTML and Markdown pages, their sentences."""
