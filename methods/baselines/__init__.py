"""Methods that bound every table: the truth from above, a picture, a wrong voice and a crude puppet from below."""
