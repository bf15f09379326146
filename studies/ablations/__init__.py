"""Compare runs of `unbraid train --grid` on excerpts and songs that none of them has heard."""
