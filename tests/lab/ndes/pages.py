"""What people see: the pages of NDES and IIS, as far as a device meets them."""
from typing import NamedTuple, Optional

PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1>{1}</body></html>\n"
LOGIN = "/login"
NEGOTIATE = "Negotiate"
GENERAL = """<p>This URL is used by network devices to submit certificate requests.</p>
<p>To obtain an enrollment challenge password, go to the admin page.</p>"""


class Answer(NamedTuple):
    status: int
    content_type: Optional[str]
    body: bytes
    note: Optional[str] = None
    transaction: Optional[str] = None
    headers: tuple = ()


def page(status, title, text="", headers=()):
    return Answer(status, "text/html", PAGE.format(title, text).encode(), title, headers=headers)


def general():
    """What a browser gets where no policy module is installed."""
    return page(200, "Network Device Enrollment Service", GENERAL)


def unauthorized():
    return page(401, "401 - Unauthorized: Access is denied due to invalid credentials.",
                headers=(("WWW-Authenticate", NEGOTIATE),))


def login():
    return page(200, "Sign in to your account", '<form method="post"><input name="loginfmt"></form>')


def of_status(status, win32="off"):
    """An error page of IIS; with the Win32 code as IIS prints it, as an HRESULT."""
    if status == 401:
        return unauthorized()
    text = "" if win32 == "off" else f"<p>Error Code 0x{0x80070000 | win32:08x}</p>"
    headers = (("Location", f"{LOGIN}?ReturnUrl=%2fcertsrv"),) if 300 <= status < 400 else ()
    return page(status, f"{status} - set by a switch", text, headers)
