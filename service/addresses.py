"""How a site writes down whom it talks to: nodes, callers, destinations."""

import re
from dataclasses import replace

from dicom.values import Caller, PacsNode, WebNode
from service.replaced import take_options
from service.values import Destination, Proof

AE_TITLE_MAX = 16  # PS3.5 Table 6.2-1, VR AE
DESTINATION_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def parse_node(text: str) -> PacsNode:
    """Read ``AET@host:port``, ``;tls`` behind it for TLS; raises ValueError with what is wrong."""
    plain, semicolon, option = (part.strip() for part in text.partition(";"))
    if semicolon and option != "tls":
        raise ValueError(f"{text!r}: unknown option {option!r}")
    ae_title, at, address = plain.partition("@")
    host, colon, port = address.rpartition(":")
    if not (at and colon and ae_title and host and port.isdigit()):
        raise ValueError(f"{text!r} is not AET@host:port")
    if len(ae_title) > AE_TITLE_MAX:
        raise ValueError(f"AE title {ae_title!r} is longer than {AE_TITLE_MAX} characters")
    if not 0 < int(port) < 2**16:
        raise ValueError(f"port {port} does not exist")
    return PacsNode(ae_title=ae_title, host=host.strip("[]"), port=int(port), tls=bool(semicolon))


def parse_caller(text: str) -> Caller:
    """Read ``AET@address``, ``*`` for any; raises ValueError with what is wrong."""
    ae_title, at, address = text.strip().partition("@")
    if not (at and ae_title and address) or len(ae_title) > AE_TITLE_MAX:
        raise ValueError(f"{text!r} is not AET@address")
    return Caller(ae_title=ae_title, address=address)


def parse_destination(text: str) -> Destination:
    """Read ``name=AET@host:port`` or ``name=https://…``; raises ValueError with what is wrong.

    Options follow after semicolons: ``proof=auto|commitment|query``, for a node ``tls``, for
    DICOMweb ``token_file=PATH``; ``replaced=leave|reject|delete``, and for an Orthanc to delete
    from ``orthanc=URL`` with ``orthanc_token_file=PATH``.
    """
    address, *options = (part.strip() for part in text.split(";"))
    name, equals, where = address.partition("=")
    if not equals or not DESTINATION_NAME.fullmatch(name):
        raise ValueError(f"{text!r} is not name=AET@host:port or name=https://…")
    said = dict(one.partition("=")[::2] for one in options)
    proof = Proof(said.pop("proof", Proof.AUTO))
    to: PacsNode | WebNode
    if where.startswith(("http://", "https://")):
        to = WebNode(where.rstrip("/"), said.pop("token_file", ""))
    else:
        to = replace(parse_node(where), tls="tls" in said)
        said.pop("tls", None)
    replaced, orthanc = take_options(said, name, to)
    if said:
        raise ValueError(f"{name}: unknown option {', '.join(sorted(said))}")
    if isinstance(to, WebNode) and proof is Proof.COMMITMENT:
        raise ValueError(f"{name}: DICOMweb has no storage commitment here: use proof=query")
    return Destination(name, to, proof, replaced, orthanc)
