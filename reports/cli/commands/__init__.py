"""A file a verb: what it takes and what its help says; `command` is what click runs.

The function of a verb imports what does the work, and nothing else in `reports` imports inside a
function: options and help cost no pandas, and what a verb pulls in is seen in one place.
"""
