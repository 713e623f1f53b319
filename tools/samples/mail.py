"""The writer of EML.

The header of a source has `from`, `to`, `subject`, `date` and `id`, and may have `cc` and `answers`.
"""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from tools.samples.source import Source
from tools.samples.web import body_html


def make_eml(source: Source) -> bytes:
    """Return the source as a message.

    `html: true` in the header adds an HTML part. `attachment` adds a text file.
    """
    header = source.header
    message = EmailMessage(policy=SMTP)
    message["From"] = header["from"]
    message["To"] = header["to"]
    if "cc" in header:
        message["Cc"] = header["cc"]
    message["Subject"] = header["subject"]
    message["Date"] = format_datetime(datetime.fromisoformat(header["date"]))
    message["Message-ID"] = f"<{header['id']}>"
    if "answers" in header:
        message["In-Reply-To"] = f"<{header['answers']}>"
        message["References"] = f"<{header['answers']}>"
    message.set_content(source.body, cte="quoted-printable")
    if header.get("html"):
        message.add_alternative(
            f"<html><body>\n{body_html(source.blocks)}</body></html>\n", "html", cte="quoted-printable"
        )
    if "attachment" in header:
        message.add_attachment(header["attachment"]["text"], filename=header["attachment"]["name"])
    # Without this loop the email package chooses random boundaries, and the bytes differ in each build.
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_saltmere_{number}_{header['id'].split('@')[0]}")
    return message.as_bytes()
