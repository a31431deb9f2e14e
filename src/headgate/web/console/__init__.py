"""The console: pages for people, on the port of the API, by the same questions that the API asks.

site       every page and every act on one page, and who may
sessions   who has logged in: a cookie for a token
guard      what a request must bring: a session, a scope, and for a write an origin
headers    what every answer says to the browser
pages      templates, and what they are given
words      how numbers, times, names and states are written
live       pages that change while they are looked at, rendered once for all who look
charts     lines over time, as SVG
and a file for each kind of page

A page is a template and a function that gives its values. Its blocks whose names begin with `live_` are what
changes: they are rendered alone, and sent to all who look at the page. Every page works without a script, but
for that. Acts are forms.
"""
