"""Random orders and requests, played against the stand-in of Partner Center, and the rules that must hold then."""
