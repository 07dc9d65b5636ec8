"""One module per architecture family; each ends in `SPEC`. Nothing is imported until it is used."""
