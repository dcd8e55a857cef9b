"""How true a profile is: profiles, their distances and errors, what was lost, the claim."""
