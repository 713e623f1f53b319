"""Generated documents of several formats, small enough to process quickly."""

from pathlib import Path

STORY = (
    "{who} met Charles Babbage in {place} on {day} June 1833. The Analytical Engine Company paid them "
    "£{sum} for a report about looms. Ask {mail} for the drawings.\n"
)
PEOPLE = ["Ada Lovelace", "Mary Somerville", "Michael Faraday", "George Boole"]
PLACES = ["London", "Turin", "Cambridge"]


def write_documents(folder: Path, count: int) -> Path:
    """Write `count` small documents of 5 formats with recurring names, and return the folder."""
    folder.mkdir(parents=True)
    for number in range(count):
        text = STORY.format(
            who=PEOPLE[number % 4], place=PLACES[number % 3], day=number + 1, sum=100 * number, mail="ada@example.org"
        )
        kind = ("txt", "md", "html", "csv", "eml")[number % 5]
        content = {
            "txt": text,
            "md": f"# Report {number}\n\n{text}",
            "html": f"<html><head><title>Report {number}</title></head><body><p>{text}</p></body></html>",
            "csv": f'who,text\n{PEOPLE[number % 4]},"{text.strip()}"\n',
            "eml": f"From: ada@example.org\nTo: c@example.org\nSubject: Report {number}\n\n{text}",
        }[kind]
        (folder / f"{number:02}.{kind}").write_text(content)
    return folder
