"""The console: one page in the browser over the control interface, to see the whole product at work.

The page is plain HTML, CSS and JavaScript modules in `page`, served as they are and without anything from elsewhere.
All it does is a request to the control interface, so that curl can do the same. `routes` has the requests that the page
needs beyond those of `control`: what there is, a request sent as a ticketing system would, a look for orders, the audit
records, and the stream of events, which the server pushes. `scenarios` has the examples that the page offers first.

`guard` keeps other pages in the same browser from driving the control interface, whatever path they try.
"""
