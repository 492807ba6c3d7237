"""One list of requests to a Functions host, byte by byte, and the answers of the real one.

app.py        the app that the host serves: the product, and functions that echo a request or answer oddly
requests.py   the list
exchange.py   sends one of them and reads what comes back
hosts.py      starts the stand-in, or the real host that FUNCTIONS_HOST names
__main__.py   records the real host's answers in tests/samples/functions-host.json
"""
