"""Requests that no honest caller sends: made at random by hypothesis, or listed mistake by mistake.

values.py    JSON values, and text that people take for JSON
bodies.py    valid requests, and bodies with mistakes
headers.py   headers, usual and odd
requests.py  whole requests
sending.py   sends them to the live function and checks each answer
"""
