"""Other people's instruction traces as .spestream files: drmemtrace, Tarmac, execlog."""
