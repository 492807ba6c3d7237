"""The stand-in for the Azure Functions host, around Microsoft's own Python runtime.

`host` does the work of the .NET host and `own_pages` shows its own pages, behind `kestrel`, its web server, which reads
requests by the rules of `request_head`. `timers` runs timer functions, by their `schedule` or by hand. `worker` does
the work of the Python worker, `app_service_auth` that of App Service Authentication in front of the host, and `process`
starts all of it in a process of its own, or the real host in its place, and kills it on demand (`kill`); `core_tools`
is a program that starts the real host.

Real, not stood in for
    The runtime: azure-functions-runtime-v1 and azure-functions, the wheels that Azure loads on Python 3.13. They
    import the function, check it against function.json, and convert requests and answers.

Stood in for
    The .NET host before the worker sees a request (connections, request lines, routes, methods, keys, headers, query,
    the limit of the body) and after its answer (its framing, host.json's customHeaders and hsts). App Service
    Authentication: a bearer token becomes X-MS-CLIENT-PRINCIPAL, and these headers never come through from outside.

Observed behaviour
    Everything but App Service Authentication and the parts left out was compared with the real host (4.1037.0, October
    2024): tests/contract/test_functions_wire.py sends both the same bytes and compares status, headers and body. It
    lists the known differences.

Documented behaviour
    host.json and the HTTP trigger; the principal's headers and JSON.

Guesses, marked in `app_service_auth`
    A bad token ends in a 401 without a body though anonymous requests pass; which claims get another name;
    `roles` keeps its name; the content of X-MS-CLIENT-PRINCIPAL-NAME for an app.

Left out
    Bindings other than HTTP and the timer (a function without either trigger does not load), cookies, route constraints
    and defaults, throttling (429), the load balancer's 230 s, functionTimeout except where a call would never end, the
    new worker process after a SystemExit, and the 10 s that calls get when the host is told to end. Of the timer what
    `timers` lists.
    Kestrel's HTTP/2 and its time limits: 130 s for an idle connection, 30 s for the head of a request (408),
    5 s for the rest of an unwanted body.
    Below /admin all pages but `ping`, `warmup`, `status` and the run of a timer function by hand. Of the others the
    common ones are 401 without the master key and 404 with it.
    Requests that only a test sends: control characters in the target, a list in Connection, `PRI * HTTP/2.0`.
"""
