"""XMP without pictures, and without what describes pictures that are left out."""

import pytest

from pconv_hpc.photos.metadata.xmp import picture_kinds, without_pictures

ULTRA_HDR = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:Container="http://ns.google.com/photos/1.0/container/"
 xmlns:Item="http://ns.google.com/photos/1.0/container/item/"
 xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"
 hdrgm:Version="1.0"><hdrgm:GainMapMax><rdf:Seq><rdf:li>2.1</rdf:li></rdf:Seq></hdrgm:GainMapMax>
<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource">
<Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>
<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Length="66171"/>
</rdf:li></rdf:Seq></Container:Directory><hdrgm:Empty/><xmp:Label>Red</xmp:Label>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_what_announces_a_gain_map_goes_and_the_rest_stays() -> None:
    cleaned = without_pictures(ULTRA_HDR)
    for gone in (b"hdrgm:", b"Container:", b"Item:", b"66171", b"2.1"):
        assert gone not in cleaned.replace(b"xmlns:" + gone.strip(b":"), b"")
    assert b'xmp:Rating="5"' in cleaned
    assert b"<xmp:Label>Red</xmp:Label>" in cleaned
    assert cleaned.count(b"<rdf:") == cleaned.count(b"</rdf:") == 2
    assert picture_kinds(ULTRA_HDR) == ["gain map"]
    assert picture_kinds(cleaned) == []
    assert without_pictures(cleaned) == cleaned


@pytest.mark.parametrize(
    ("namespace", "kind"),
    [
        (b"http://ns.google.com/photos/1.0/depthmap/", ["depth map"]),
        (b"http://ns.google.com/photos/1.0/image/", ["original"]),
        (b"http://ns.apple.com/HDRGainMap/1.0/", ["gain map"]),
        (b"http://ns.google.com/photos/1.0/camera/", []),
    ],
)
def test_pictures_go_whatever_their_prefix_is(namespace: bytes, kind: list[str]) -> None:
    xmp = b"""<d xmlns:Q='%s' Q:Data="/9j/4AAQ" a:b='c' Q:Mime='image/jpeg'>"""
    xmp += b"<Q:Data>/9j/</Q:Data><a:e/></d>"
    assert picture_kinds(xmp % namespace) == kind
    assert without_pictures(xmp % namespace) == b"<d xmlns:Q='%s' a:b='c'><a:e/></d>" % namespace


@pytest.mark.parametrize("end", [b"", b"<Q:a>", b"</Q:b>", b"<Q:a"])
def test_an_element_that_is_never_closed_takes_all_with_it(end: bytes) -> None:
    start = b"<d xmlns:Q='http://ns.adobe.com/hdr-gain-map/1.0/'><Q:a>secret"
    assert without_pictures(start + end) == b""


@pytest.mark.parametrize(
    "garbage",
    [
        b" " * (1 << 20),
        b"<Q:a " * 100_000,
        b'"' * (1 << 20),
        b"<Q:a x" + b"'\"" * (1 << 19),
        b"<Q:a b='" * 100_000,
    ],
)
def test_garbage_takes_no_long_time(garbage: bytes) -> None:
    """A regular expression that is tried anew at every byte would take hours."""
    without_pictures(b"<d xmlns:Q='http://ns.adobe.com/hdr-gain-map/1.0/'>" + garbage)


def test_other_packets_stay_as_they_are() -> None:
    assert without_pictures(b"") == b""
    assert without_pictures(b"\xff\xfe no XML <<") == b"\xff\xfe no XML <<"
