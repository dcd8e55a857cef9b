"""What is kept between runs: where it lies, how it is checked, listed and removed.

Everything here can be made again, so nothing here is an error: what is damaged, of another owner or
of another version counts as absent, with one line on stderr, and a machine without a place to write
works without.
"""
