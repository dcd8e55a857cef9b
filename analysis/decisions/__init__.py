"""Would anybody decide otherwise? Regret of choices made from a profile, and where it comes from.

`kinds` says what can be decided, one file each; `choosing` what a choice catches, `regret` what an
arm's profile costs whoever decides by it, `chance` what as many random samples would do.
"""
