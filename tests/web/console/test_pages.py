"""Every page of the console: it is there, it is closed to strangers, and its answers are secured."""

from __future__ import annotations

from web_browsing import logged_in, shown

PAGES = ("/", "/?span=day", "/campaigns", "/campaigns/new", "/cells", "/cells/460-00-1A2B", "/devices")
PAGES += ("/packages", "/settings", "/docs")


def test_pages_of_an_empty_server(run, api):
    """Each says what is not there yet, and every one has a title, a main part and one first heading."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            for path in PAGES:
                answer = await client.get(path)
                text = shown(answer)
                assert "None" not in text, path
                assert answer.text.count("<main ") == answer.text.count("<h1") == 1, path

    run(main())
