"""What speskew has, in words: `explain`, `list`, `show design` and the pages of docs/reference."""
