"""The first bytes of media files."""

from __future__ import annotations

MEDIA = {
    "MP4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "QuickTime": b"\0\0\0\x14ftypqt  \0\0\2\0qt  ",
    "QuickTime that begins with its data": b"<!--mdat" + bytes(50),
    "QuickTime of more than 4 GB": b"\0\0\0\x01mdat\0\0\0\1\0\0\0\0",
    "QuickTime with a wide box": b"\0\0\0\x08wide\0\0\0\x20mdat",
    "QuickTime with a free box": b"\0\0\x3c\x68free" + bytes(50),
    "QuickTime with a preview": b"\0\0\0\x14pnot" + bytes(50),
    "fragment": b"\0\0\0\x18stypmsdh" + bytes(50),
    "fragment without a type": b"\0\0\0\x64moof\0\0\0\x10mfhd",
    "fragment with an index": b"\0\0\0\x2csidx" + bytes(50),
    "MPEG-TS": b"\x47\x40\x00\x10\0\0\xb0\x0d" + b"\xff" * 180,
    "MPEG-TS with a service": b"\x47\x40\x11\x10\0\x42\xf0\x25" + b"\xff" * 180,
    "MPEG-PS": b"\0\0\1\xbaD\0\4\0\4\1" + bytes(50),
    "H.264": b"\0\0\0\1\x67\x64\0\x28" + bytes(50),
    "MP3 with tags": b"ID3\4\0\0\0\0\0\x23TSSE",
    "MP3": b"\xff\xfb\x90\x64" + bytes(50),
    "AAC": b"\xff\xf1\x50\x80\x2e\x7f\xfc\x21",
    "WAV": b"RIFF\x24\x08\0\0WAVEfmt ",
    "AVI": b"RIFF\x24\x08\0\0AVI LIST",
    "FLAC": b"fLaC\0\0\0\x22\x10\0",
    "OGG": b"OggS\0\2\0\0\0\0\0\0\0\0",
    "MKV": b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\1matroska",
    "WebM": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1webm",
    "FLV": b"FLV\1\5\0\0\0\x09\0\0\0\0",
    "WMV": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9",
    "SRT": b"1\n00:00:01,000 --> 00:00:02,000\n<i>Hola</i>\n",
    "SRT of Windows": b"\xef\xbb\xbf1\r\n00:00:01,000 --> 00:00:02,000\r\n<b>Hola</b>\r\n",
    "WebVTT": b"WEBVTT\n\n00:00.000 --> 00:01.000\n<i>Hello</i>",
    "WebVTT with a mark": b"\xef\xbb\xbfWEBVTT - a title\n\n",
    "ASS": b"[Script Info]\nTitle: x\n",
    "ASS with a mark": b"\xef\xbb\xbf[Script Info]\r\n",
}
"""How files begin that are wanted."""
