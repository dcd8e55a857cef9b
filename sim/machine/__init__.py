"""The machine: a specification, the parts built from it, and rounds that pass in one step."""
