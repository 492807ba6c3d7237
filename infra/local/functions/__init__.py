"""The stand-in for the Azure Functions host, around Microsoft's own Python runtime.

`host` does the work of the .NET host, `worker` that of the Python worker, `app_service_auth` imitates App Service
Authentication in front of the host, and `process` starts all of it in a process of its own.

Real, not stood in for
    The runtime: azure-functions-runtime-v1 and azure-functions, the wheels that Azure loads on Python 3.13. They
    import the function, check it against function.json, and convert requests and answers.

Stood in for
    The .NET host before the worker sees a request (routes, methods, keys, headers, query, the limit of the body) and
    after its answer (host.json's customHeaders and hsts). App Service Authentication: a bearer token becomes
    X-MS-CLIENT-PRINCIPAL, and these headers never come through from outside.

Documented behaviour
    host.json and the HTTP trigger; the host's source of October 2024; the principal's headers and JSON.
    Nobody could compare it with a running host.

Guesses, marked in `app_service_auth`
    A bad token ends in a 401 without a body though anonymous requests pass; which claims get another name;
    `roles` keeps its name; the content of X-MS-CLIENT-PRINCIPAL-NAME for an app.

Left out
    Bindings other than HTTP (a function without an httpTrigger does not load), cookies, route constraints and
    defaults, throttling (429), the load balancer's 230 s, functionTimeout except where a call would never end, and
    the different kinds of key: one key stands for function, host and master keys.
"""
