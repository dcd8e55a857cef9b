"""The core: the process that runs the stream, interrupt delivery, what is lost meanwhile."""
