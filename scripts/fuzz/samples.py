"""What is mutated: one small film in every way that bytes can carry it, and an association."""

import struct
from io import BytesIO

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context
from pynetdicom.transport import AddressInformation

CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"
SIDE = 32
NATIVE = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
COMPRESSED = (RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGBaseline8Bit)
CONTEXT = 1
RELEASE = struct.pack(">BBLL", 0x05, 0, 4, 0)


def part10(transfer_syntax_uid: UID) -> bytes:
    """Return a film as a Part 10 file in this transfer syntax."""
    ds = _film()
    if transfer_syntax_uid == JPEGBaseline8Bit:
        stream = BytesIO()
        Image.fromarray(_pixels()).save(stream, "JPEG")
        ds.PixelData = encapsulate([stream.getvalue()])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = transfer_syntax_uid
    elif transfer_syntax_uid in COMPRESSED:
        ds.compress(transfer_syntax_uid, generate_instance_uid=False)
    else:
        ds.file_meta.TransferSyntaxUID = transfer_syntax_uid
    file = BytesIO()
    ds.save_as(
        file,
        enforce_file_format=True,
        little_endian=transfer_syntax_uid != ExplicitVRBigEndian,
        implicit_vr=transfer_syntax_uid == ImplicitVRLittleEndian,
    )
    return file.getvalue()


def data_set() -> bytes:
    """Return the film's data set alone, explicit VR little endian."""
    whole = part10(ExplicitVRLittleEndian)
    group_2 = int.from_bytes(whole[140:144], "little")
    return whole[144 + group_2 :]


def association_request() -> bytes:
    """Return an A-ASSOCIATE-RQ PDU (PS3.8 9.3.2) that our listener accepts."""
    maximum, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    maximum.maximum_length_received = 16384
    implementation.implementation_class_uid = UID("1.2.3.4")
    request = A_ASSOCIATE()
    request.application_context_name = UID("1.2.840.10008.3.1.1.1")
    request.calling_ae_title, request.called_ae_title = "FUZZ", "CARINA"
    request.calling_presentation_address = AddressInformation("127.0.0.1", 0)
    request.called_presentation_address = AddressInformation("127.0.0.1", 11112)
    context = build_context(CR_IMAGE, ExplicitVRLittleEndian)
    context.context_id = CONTEXT
    request.presentation_context_definition_list = [context]
    request.user_information = [maximum, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return bytes(pdu.encode())


def store_request() -> bytes:
    """Return the P-DATA-TF PDUs of a C-STORE request (PS3.7 9.3.1) with its data set."""
    data = data_set()
    pieces = [_data_pdu(0x03, _command())]
    pieces += [
        _data_pdu(0x02 if start + 2048 >= len(data) else 0x00, data[start : start + 2048])
        for start in range(0, len(data), 2048)
    ]
    return b"".join(pieces)


def _data_pdu(control: int, fragment: bytes) -> bytes:
    item = struct.pack(">LBB", len(fragment) + 2, CONTEXT, control) + fragment
    return struct.pack(">BBL", 0x04, 0, len(item)) + item


def _command() -> bytes:
    def element(number: int, value: bytes) -> bytes:
        return struct.pack("<HHL", 0, number, len(value)) + value

    def number(value: int) -> bytes:
        return struct.pack("<H", value)

    body = b"".join(
        (
            element(0x0002, CR_IMAGE.encode() + b"\0"),
            element(0x0100, number(0x0001)),
            element(0x0110, number(1)),
            element(0x0700, number(0)),
            element(0x0800, number(0x0001)),
            element(0x1000, b"1.2.3.4\0"),
        )
    )
    return element(0x0000, struct.pack("<L", len(body))) + body


def _pixels() -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    ramp = np.add.outer(np.arange(SIDE) * 3, np.arange(SIDE) * 4)
    return (ramp % 251).astype(np.uint8)


def _film() -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", ""]
    ds.SOPClassUID, ds.SOPInstanceUID = CR_IMAGE, "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    ds.PatientName, ds.PatientID, ds.PatientAge = "Fuzz^Test", "FUZZ", "050Y"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "CR", "CHEST", "PA"
    ds.PatientOrientation = ["L", "F"]
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", "Chest"
    ds.ProcedureCodeSequence = [code]
    ds.ImagerPixelSpacing = [0.2, 0.2]
    ds.Rows = ds.Columns = SIDE
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation, ds.SamplesPerPixel = 7, 0, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.WindowCenter, ds.WindowWidth = 128, 256
    ds.PixelData = _pixels().tobytes()
    ds["PixelData"].VR = "OB"
    return ds
