"""Instruction streams: synthetic, recorded, and the queries that the SPU asks of them."""
