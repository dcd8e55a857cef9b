"""What designs are made of: each value of each policy is one object, listed once."""
