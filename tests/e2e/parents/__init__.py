"""Parents in several languages, as v1 had them."""
