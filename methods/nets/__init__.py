"""Published networks that several methods share."""
