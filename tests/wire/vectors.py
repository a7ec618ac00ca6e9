"""Writes vectors.json, from the description of the wire format alone: a second implementation, independent of the crate.

    pip install blake3 crc32c cryptography lz4 msgpack xxhash zstandard
    python3 tests/wire/vectors.py > tests/wire/vectors.json

The crate's own tests read vectors.json and must agree with every vector in it.
"""

import base64
import json
import struct

import blake3
import crc32c
import lz4.block
import msgpack
import xxhash
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

# --- escapes ---------------------------------------------------------------------------------------------------------

ALPHANUMERIC = set(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
GRAPHIC = set(range(0x21, 0x7F))
VALUE = ALPHANUMERIC | set(b"-_.~")
LITERAL = GRAPHIC - set(b"{}@%#")
NAME = GRAPHIC - set(b"{}@%#")
NAMESPACE = NAME - set(b":")


def escape(text, shown):
    return "".join(chr(b) if b in shown else "%%%02X" % b for b in text.encode())


# --- names -----------------------------------------------------------------------------------------------------------

def base32(data):
    return base64.b32encode(data).decode().lower().rstrip("=")


def hashed(text):
    return "#" + base32(blake3.blake3(text.encode()).digest()[:24])


def part(text, shown):
    readable = escape(text, shown)
    return readable if len(readable) <= 64 else hashed(text)


def args_part(args):
    safe = len(args) <= 64 and all(b in GRAPHIC - set(b"{}#") for b in args.encode())
    return args if safe else hashed(args)


def delimited(parts):
    return b"".join(struct.pack("<I", len(p.encode())) + p.encode() for p in parts)


def xxh3(parts):
    return xxhash.xxh3_64_intdigest(delimited(parts))


def base(namespace, function, version, args):
    bucket = "%02x" % (xxh3([function, args]) & 0xFF)
    return "hc2:{%s:%s}:%s@%d:%s" % (part(namespace, NAMESPACE), bucket, part(function, NAME), version, args_part(args))


def u64(number):
    return "%016x" % number


def fingerprint(namespace, binary, function, version, args):
    return blake3.blake3(delimited([namespace, binary, function, str(version), args])).digest()[:16]


def address(namespace, function, version, args, process, attempt, binary=""):
    b = base(namespace, function, version, args)
    token = struct.pack("<QQ", process, attempt).hex()
    return {
        "namespace": namespace,
        "function": function,
        "version": version,
        "args": args,
        "binary": binary,
        "fingerprint": fingerprint(namespace, binary, function, version, args).hex(),
        "token": {"process": u64(process), "attempt": u64(attempt), "bytes": token},
        "own_channel": "hc2:" + part(namespace, NAMESPACE) + ":w:" + u64(process),
        "key_id": u64(xxh3([function, args])),
        "readable": args_part(args),
        "entry": b + ":e",
        "lease": b + ":l",
        "stage": b + ":s:" + token,
        "other_versions": [
            {"version": v, "entry": base(namespace, function, v, args) + ":e"} for v in (0, 9, 20261130, 2**32 - 1)
        ],
    }


def stamp(namespace, kind, name):
    short = {"namespace": "n", "function": "f", "tag": "t"}[kind]
    number = xxh3([short, name])
    key = "hc2:{%s:t:%02x}:%s" % (part(namespace, NAMESPACE), number & 0xFF, short)
    if kind != "namespace":
        key += ":" + part(name, NAME)
    return {"namespace": namespace, "kind": kind, "name": name, "hash": u64(number), "key": key}


def stamp_value(value, number, versions):
    read = None if number is None else {"number": u64(number), "versions": versions}
    return {"value": value, "read": read}


def channels(namespace):
    def of(begin):
        return {"invalidations": begin + ":inv", "wake_prefix": begin + ":w:"}

    shown = part(namespace, NAMESPACE)
    return {
        "namespace": namespace,
        **of("hc2:" + shown),
        "database_7": of("hc2:" + shown + ":db7"),
        "of_key": of("hc2:{%s:%02x}" % (shown, xxh3(["shop::user", "7"]) & 0xFF)),
        "of_tag": of("hc2:{%s:t:%02x}" % (shown, xxh3(["t", "org:9"]) & 0xFF)),
    }


# --- envelope --------------------------------------------------------------------------------------------------------

def envelope(description, payload, *, expired=0, codec=1, compression=0, kind=1, flags=0, cost_ms=12, process=0x1122334455667788,
             attempt=3, loaded_at=1700000000000, fresh_until=1700000060000, expires_at=1700003600000,
             stamps=((0x0102030405060708, 0x1112131415161718), (0x2122232425262728, 0x3132333435363738)), form=2,
             key=fingerprint("shop", "", "shop::user", 0, "user:7"), raw_length=None, tail=b"", seal=None, error=None):
    # The payload is compressed last: 0 as it is, 1 an LZ4 block, 2 a Zstandard frame with its content's size.
    raw, payload = payload, compressed(compression, payload)
    raw_length = len(raw) if raw_length is None else raw_length
    flags |= 0x0100 if seal else 0
    head = bytes([0x89, 0x48, 0x43, form, expired, codec, compression, kind])
    head += struct.pack("<HHI", flags, len(stamps), cost_ms)
    head += struct.pack("<QQ", process, attempt)
    head += struct.pack("<QQQ", loaded_at, fresh_until, expires_at)
    head += struct.pack("<I", raw_length)
    stamped = b"".join(struct.pack("<QQ", *s) for s in stamps)
    if seal:
        # Encrypted behind compression, and bound to the name of the entry and to what the header and the stamps say.
        bound = seal["name"].encode() + head[:4] + head[5:56] + stamped
        payload = struct.pack("<I", seal["id"]) + seal["nonce"] + AESGCMSIV(seal["key"]).encrypt(seal["nonce"], payload, bound)
    rest = key + stamped + payload + tail
    crc = crc32c.crc32c(head[5:60] + rest)
    vector = {
        "description": description,
        "fields": {
            "format": form,
            "expired_by_hand": expired,
            "codec": codec,
            "compression": compression,
            "kind": kind,
            "flags": flags,
            "cost_ms": cost_ms,
            "fence": struct.pack("<QQ", process, attempt).hex(),
            "loaded_at": loaded_at,
            "fresh_until": fresh_until,
            "expires_at": expires_at,
            "raw_length": raw_length,
            "crc32c": "%08x" % crc,
            "key": key.hex(),
            "stamps": [{"hash": u64(h), "value": u64(v)} for h, v in stamps],
            "payload": payload.hex(),
        },
        "bytes": (head + struct.pack("<I", crc) + rest).hex(),
    }
    if payload != raw:
        vector["fields"]["raw"] = raw.hex()
    if seal:
        vector["seal"] = {"name": seal["name"], "id": seal["id"], "key": seal["key"].hex()}
    if error:
        vector["error"] = error
    return vector


def compressed(number, payload):
    if number == 1:
        return lz4.block.compress(payload, store_size=False)
    if number == 2:
        return zstandard.ZstdCompressor(level=1, write_content_size=True).compress(payload)
    return payload


def flipped(description, vector, at, bit, error):
    data = bytearray.fromhex(vector["bytes"])
    data[at] ^= 1 << bit
    return {"description": description, "bytes": data.hex(), "error": error}


# --- the file --------------------------------------------------------------------------------------------------------

def template(pieces):
    """pieces: ("text", what stands in the template) or ("value", what fills a placeholder)."""
    written, between = [], None
    for kind, piece in pieces:
        if kind == "value":
            # Two values need something between them that no value shows.
            if between is not None and not any(b in LITERAL - VALUE for b in between.encode()):
                written.append({"text": "", "written": ","})
            written.append({"value": piece, "written": escape(piece, VALUE)})
            between = ""
        else:
            written.append({"text": piece, "written": escape(piece, LITERAL)})
            between = None if between is None else between + piece
    return {"pieces": written, "text": "".join(piece["written"] for piece in written)}


def main():
    long_args = "user:" + "x" * 60
    odd = "a b:c@d%e#f{g}h\n\u00e9\u20ac\U0001F600"
    payload = msgpack.packb({"id": 7, "name": "Ada"})
    long_payload = msgpack.packb([{"id": n, "name": "item %d" % n} for n in range(40)])
    seal = {"name": "hc2:{shop:1f}:shop::user@0:user:7:e", "id": 1, "key": bytes(range(32)), "nonce": bytes(range(100, 112))}
    another_seal = {"name": "hc2:{shop:00}:item@9:7:e", "id": 2**32 - 1, "key": bytes(range(200, 232)), "nonce": b"\xff" * 12}
    a_value = envelope("a value: MessagePack of {\"id\": 7, \"name\": \"Ada\"}", payload)
    sections = {
        "about": "Test vectors of hybridcache's wire format, version hc2. Every section says its rule; another "
                 "implementation needs nothing else. Numbers of 64 bits are written as 16 hex digits, most significant "
                 "first; bytes as hex, in order. Texts are UTF-8.",
        "escapes": {
            "about": "Percent-escapes, %XX with upper-case hex, of each byte of the UTF-8 text that the place does not show. "
                     "value: shows ASCII letters, digits and - _ . ~ / + = only. literal (the text of a template around its "
                     "placeholders) and name (functions, tags): show printable ASCII 21 to 7e but { } @ % #. namespace: as "
                     "name, and : is escaped too.",
            "vectors": [
                {"text": t, "value": escape(t, VALUE), "literal": escape(t, LITERAL), "name": escape(t, NAME),
                 "namespace": escape(t, NAMESPACE)}
                for t in ["", "user-7_a.b~c/d+e=f", odd, "".join(map(chr, range(0x20, 0x80))), "\x00\t\x1f"]
            ],
        },
        "cache_key": {
            "about": "The text of a value of a given type. Integers in decimal. bool: true, false. Strings and char: escaped "
                     "as a value. Option: - for None, + and the value for Some. Tuples and structs: ( parts ) with commas "
                     "between. Enums: the variant's name (escaped as a value), behind it ( parts ) if it has any. Slices, arrays, Vec: the number "
                     "of items, [ items ] with commas between; of bytes: the number of bytes, x, lower-case hex. Duration: "
                     "seconds, a point, nine digits of nanoseconds. IP addresses as RFC 5952 writes them, escaped as a value; "
                     "socket addresses (ip,port), for IPv6 (ip,port,flow info,scope id). A default key over several arguments: "
                     "their texts with commas between.",
            "vectors": [
                {"name": n, "value": v, "text": t}
                for n, v, t in [
                    ("u64", "7", "7"),
                    ("i64 min", "-9223372036854775808", "-9223372036854775808"),
                    ("u128 max", "340282366920938463463374607431768211455", "340282366920938463463374607431768211455"),
                    ("bool", "true", "true"),
                    ("char", "'\u00e9'", escape("\u00e9", VALUE)),
                    ("str", json.dumps(odd), escape(odd, VALUE)),
                    ("empty str", "\"\"", ""),
                    ("unit", "()", "()"),
                    ("none", "None", "-"),
                    ("some", "Some(7)", "+7"),
                    ("some none", "Some(None)", "+-"),
                    ("some dash", "Some(\"-\")", "+-"),
                    ("tuple of one", "(7,)", "(7)"),
                    ("tuple", "(\"a,b\", \"c\")", "(a%2Cb,c)"),
                    ("nested tuple", "((1, 2), 3)", "((1,2),3)"),
                    ("no strings", "[] as Vec<String>", "0[]"),
                    ("one empty string", "[\"\"]", "1[]"),
                    ("strings", "[\"a\", \"\"]", "2[a,]"),
                    ("array", "[1, 2, 3] of i32", "3[1,2,3]"),
                    ("bytes", "[0x00, 0x0a, 0xff] of u8", "3x000aff"),
                    ("no bytes", "[] of u8", "0x"),
                    ("options", "[None, Some(1)]", "2[-,+1]"),
                    ("duration", "1.5 s", "1.500000000"),
                    ("ipv4", "127.0.0.1", "127.0.0.1"),
                    ("ipv6", "2001:db8::1", "2001%3Adb8%3A%3A1"),
                    ("socket v4", "127.0.0.1:80", "(127.0.0.1,80)"),
                    ("socket v6", "[2001:db8::1%3]:80, flow info 5", "(2001%3Adb8%3A%3A1,80,5,3)"),
                    ("struct", "Place { id: 7, name: \"x y\" }", "(7,x%20y)"),
                    ("unit variant", "Shape::Point", "Point"),
                    ("tuple variant", "Shape::Circle(3)", "Circle(3)"),
                    ("struct variant", "Shape::Box { w: 1, h: 2 }", "Box(1,2)"),
                ]
            ],
        },
        "templates": {
            "about": "A key template such as \"user:{id}\": its text escaped as a literal, each placeholder's displayed value "
                     "escaped as a value. Where the text between two placeholders has no byte that is shown in a literal but "
                     "not in a value, a comma is put in front of the second placeholder (in templates of keys; not of tags).",
            "vectors": [
                template(p) for p in [
                    [("text", "all")],
                    [("text", "user:"), ("value", "7")],
                    [("value", "x:y"), ("text", ":"), ("value", "z")],
                    [("value", "x"), ("text", ":"), ("value", "y:z")],
                    [("value", "a"), ("value", "b")],
                    [("value", "a"), ("text", "-"), ("value", "b")],
                    [("value", "a"), ("text", " "), ("value", "b"), ("text", "-c")],
                    [("text", "{#} "), ("value", odd), ("text", " 100%")],
                ]
            ],
        },
        "hash": {
            "about": "Ids are XXH3, 64 bits, seed 0, default secret, of length-delimited parts: each part's length in bytes as 4 bytes "
                     "little endian, then the part.",
            "vectors": [
                {"parts": p, "bytes": delimited(p).hex(), "xxh3_64": u64(xxh3(p))}
                for p in [["", ""], ["a", "bc"], ["ab", "c"], ["f", "orders::total"], ["shop::user", "user:7"], ["shop::user", long_args],
                          ["x" * 300, "\u00e9"]]
            ],
        },
        "hashed_parts": {
            "about": "A namespace, function, tag or list of arguments that is longer than 64 bytes once escaped is written as # and "
                     "the base32 (RFC 4648, lower case, no padding) of the first 24 bytes of the BLAKE3 hash of the text before it was "
                     "escaped. Arguments are hashed in the canonical form of cache_key and templates; they are hashed also when "
                     "that has a byte outside 21 to 7e, or one of { } #, which it never has.",
            "vectors": [
                {"text": t, "blake3_192": blake3.blake3(t.encode()).digest()[:24].hex(), "written": hashed(t)}
                for t in ["", "a" * 65, "\u00e9" * 11, long_args]
            ],
        },
        "addresses": {
            "about": "hc2:{<namespace>:<bucket>}:<function>@<version>:<args>, then :e for the entry, :l for the lease, :s:<token> for a "
                     "stage. own_channel: that of the token's process, on a single server. key_id = hash of [function, args], neither escaped nor shortened; the bucket is its lowest byte as two "
                     "lower-case hex digits. args: the canonical text. token: 16 bytes, process and attempt, each 8 bytes little endian, in "
                     "lower-case hex. other_versions: the same key in other versions, which are 0 to 4294967295. "
                     "fingerprint: what the entry's envelope calls its key, the first 16 bytes of the BLAKE3 hash of "
                     "[namespace, binary, function, version in decimal, args], length-delimited as for ids, neither escaped nor shortened. binary: "
                     "of a function that has no explicit name and is part of a binary, not of a library, the binary's name; else empty.",
            "vectors": [
                address("shop", "shop::user", 0, "user:7", 0x0123456789ABCDEF, 1),
                address("shop", "shop::Orders<alloc::string::String>::total", 10, "(7,+a%20b)", 1, 0x100),
                address("shop", "f", 4294967295, "", 0, 0),
                address("a:b{c}", odd, 1, escape(odd, VALUE), 2**64 - 1, 2**64 - 1),
                address("n" * 64, "f" * 64, 1, "a" * 64, 1, 1),
                address("n" * 65, "f" * 65, 1, "a" * 65, 1, 1),
                address("shop", "f", 1, "#" + "a" * 39, 1, 1),
                address("shop", "shop::user", 0, "user:7", 1, 1, binary="shop"),
                address("shop", "shop::user", 0, long_args, 1, 1),
            ],
        },
        "stamps": {
            "about": "hc2:{<namespace>:t:<bucket>}: and n for the namespace's, f:<function> for a function's, t:<tag> for a tag's; the names not "
                     "shortened or escaped where they are hashed. hash = hash of [n|f|t, name], the name of the namespace's stamp being empty; "
                     "the bucket is its lowest byte. A tag is called by its text before it was escaped: placeholders in a tag's template are "
                     "filled with what they display. The value at the key is 16 lower-case hex digits, most significant first, never zero; a function's is followed by a comma "
                     "and the decimal number of each version that uses it. Anything else there counts as absent: see stamp_values.",
            "vectors": [
                stamp("shop", "namespace", ""),
                stamp("shop", "function", "shop::user"),
                stamp("shop", "tag", "org:9"),
                stamp("shop", "tag", ""),
                stamp("a:b", "tag", odd),
                stamp("n" * 65, "function", "f" * 65),
                stamp("shop", "tag", "t" * 64),
                stamp("shop", "tag", "t" * 65),
            ],
        },
        "stamp_values": {
            "about": "What the value of a stamp says: its number, and the versions that it names. null: it counts as absent.",
            "vectors": [stamp_value(*v) for v in [
                ("00000000000000ab", 0xAB, []),
                ("ffffffffffffffff,0", 2**64 - 1, [0]),
                ("0123456789abcdef,1,3,20261130,4294967295", 0x0123456789ABCDEF, [1, 3, 20261130, 2**32 - 1]),
                ("0123456789abcdef,3,1", 0x0123456789ABCDEF, [3, 1]),
                ("", None, None), ("ab", None, None), ("0000000000000000", None, None), ("00000000000000AB", None, None),
                ("+0000000000000ab", None, None), ("0123456789abcdef,", None, None), ("0123456789abcdef1", None, None),
                ("0123456789abcdef,1,", None, None), ("0123456789abcdef,-1", None, None), ("0123456789abcdef,1 ", None, None),
            ]],
        },
        "channels": {
            "about": "On a single server: hc2:<namespace>:inv for invalidations, in database 7 hc2:<namespace>:db7:inv, and the others likewise; hc2:<namespace>:w: and a "
                     "process's random id, as 16 lower-case hex digits, most significant first, for what is meant for one process; sent with PUBLISH. In a cluster: sharded channels, "
                     "sent with SPUBLISH, in the slot of what the message is about: the part of the key's or stamp's name up to its closing "
                     "brace, and :inv or :w: likewise; a process listens to those of all 256 buckets of keys and all 256 of stamps. of_key: "
                     "for the key of function shop::user and args 7; of_tag: for the stamp of tag org:9.",
            "vectors": [channels(n) for n in ["shop", "a:b {c}", "n" * 65]],
        },
        "messages": {
            "about": "On the channel of invalidations: D deleted, S marked stale, each with the sender's process id and a key id; T, a stamp was "
                     "changed, with the sender's process id and the stamp's hash; C, a function's stamp was absent, with the sender's process "
                     "id, the stamp's hash and the number it has now; Q, what does each process say of itself, with the asker's process id and a number of its choice. On a process's own channel: P a load was published, R a "
                     "lease is free, N a load has ended and stored nothing, each with a key id; H its own heartbeat, with a number of its choice; A, not among these, an answer to Q: its number and then JSON. A letter, then 16 lower-case hex digits each, most "
                     "significant first.",
            "vectors": [
                {"letter": l, "numbers": [u64(n) for n in ns], "text": l + "".join(u64(n) for n in ns)}
                for l, ns in [
                    ("D", [0x0123456789ABCDEF, 0x1122334455667788]),
                    ("S", [0x0123456789ABCDEF, 0x1122334455667788]),
                    ("T", [0x0123456789ABCDEF, 0x1122334455667788]),
                    ("C", [0x0123456789ABCDEF, 0x1122334455667788, 0x99AABBCCDDEEFF00]),
                    ("Q", [0x0123456789ABCDEF, 0x99AABBCCDDEEFF00]),
                    ("P", [0x1122334455667788]),
                    ("R", [0x1122334455667788]),
                    ("N", [0x1122334455667788]),
                    ("H", [1]),
                ]
            ],
        },
        "leases": {
            "about": "The value at a lease's key: the token that holds it, as in the name of a stage (32 hex digits), then each process that waits, "
                     "as in the name of its own channel (16 hex digits). The mark of a load that stored nothing is 16 zeros; in a lease that was "
                     "taken where it stood, it is the first process that waits.",
            "vectors": [
                {"token": {"process": u64(p), "attempt": u64(a)}, "waiters": [u64(w) for w in ws], "marked": marked,
                 "text": struct.pack("<QQ", p, a).hex() + ("0" * 16 if marked else "") + "".join(u64(w) for w in ws)}
                for p, a, ws, marked in [
                    (1, 1, [], False), (0x0123456789ABCDEF, 0x100, [2, 2**64 - 1], False), (1, 2, [], True), (1, 2, [3], True),
                ]
            ],
        },
        "envelopes": {
            "about": "Little endian. Offset 0: 89 48 43 and the format, 2. 4: 1 once expired by hand, else 0; changed in place. 5: codec, 1 "
                     "MessagePack, 2 JSON, 4 the value's own bytes, 64 to 127 of users. 6: compression, 0 none, 1 an LZ4 block (without a length in front), 2 a Zstandard frame that says its content's size, with "
                     "nothing behind it. 7: kind, 1 value, 2 none (an empty payload). 8: flags, 2 bytes; a reader ignores bits of "
                     "the low byte, and takes an entry with an unknown set bit of the high byte (80 in byte 9, say) for unreadable. 01 in byte 9: the payload, "
                     "compressed or not, is sealed by AES-256-GCM-SIV (RFC 8452): id of the key, 4 bytes, nonce, 12, ciphertext, tag, 16; also where the kind is 2. "
                     "Associated data: the entry's whole name in Redis, bytes 0 to 3, bytes 5 to 55, the stamps. 10: number of "
                     "stamps, 2 bytes. 12: cost of the load in ms, 4 bytes. 16: fence, the 16 bytes of the token. 32, 40, 48: loaded at, fresh until, "
                     "expires at, 8 bytes each, Unix ms by the tier's clock; none before the one in front of it, none beyond 2^63 - 1. 56: length "
                     "of the payload before compression, 4 bytes; a payload (without its seal) that is not compressed has it, a compressed one is shorter. 60: CRC-32C (Castagnoli) of bytes 5 to 59 and all from 64 on, 4 bytes. 64: the "
                     "fingerprint of the key, 16 bytes: an entry with another one is unreadable. 80: the stamps, 16 "
                     "bytes each: hash of the name, value; first the namespace's, then the function's, then the tags'. Then the payload, to the "
                     "end. The vectors with an error are unreadable, for the reason given.",
            "vectors": [
                a_value,
                envelope("a None: no payload", b"", kind=2),
                envelope("expired by hand: byte 4 differs, the checksum does not", payload, expired=1),
                envelope("no stamps, smallest numbers", b"\xc0", stamps=(), cost_ms=0, process=0, attempt=0, loaded_at=0, fresh_until=0,
                         expires_at=0),
                envelope("greatest numbers, hints in the low byte of the flags", b"\xc3", flags=0xFF, cost_ms=2**32 - 1, process=2**64 - 1,
                         attempt=2**64 - 1, loaded_at=2**63 - 1, fresh_until=2**63 - 1, expires_at=2**63 - 1,
                         stamps=((2**64 - 1, 2**64 - 1),) * 5),
                envelope("compressed as an LZ4 block", long_payload, compression=1),
                envelope("compressed as a Zstandard frame", long_payload, compression=2),
                envelope("compressed, of which nothing would be left", b"\xc0", compression=1, raw_length=0, error="Length"),
                envelope("compressed, and not shorter than before", long_payload, compression=1,
                         raw_length=len(compressed(1, long_payload)), error="Length"),
                envelope("JSON", b'{"id":7,"name":"Ada"}', codec=2),
                envelope("bytes as they are", bytes(range(256)), codec=4),
                envelope("the first codec of a user's own", b"anything", codec=64),
                envelope("the last codec of a user's own, compressed", b"anything " * 30, codec=127, compression=1),
                envelope("sealed", payload, seal=seal),
                envelope("sealed, with another nonce, key and name", payload, seal=another_seal, stamps=()),
                envelope("sealed, expired by hand", payload, seal=seal, expired=1),
                envelope("sealed: compressed before", long_payload, compression=1, seal=seal),
                envelope("sealed: JSON as a Zstandard frame", json.dumps([{"id": n} for n in range(40)]).encode(), codec=2, compression=2,
                         seal=another_seal),
                envelope("sealed: a None", b"", kind=2, seal=seal),
                envelope("sealed, longer than it says", payload, seal=seal, tail=b"\x00", error="Length"),
                envelope("another format", payload, form=1, error="Format(1)"),
                envelope("an unknown value of byte 4", payload, expired=2, error="Mutable(2)"),
                envelope("an unknown codec", payload, codec=3, error="Codec(3)"),
                envelope("a codec that is nobody's", payload, codec=128, error="Codec(128)"),
                envelope("an unknown compression", payload, compression=3, error="Compression(3)"),
                envelope("an unknown kind", payload, kind=3, error="Kind(3)"),
                envelope("a flag that must be understood", payload, flags=0x8000, error="Flags(32768)"),
                envelope("longer than it says", payload, tail=b"\x00", error="Length"),
                envelope("shorter than it says", payload, raw_length=len(payload) + 1, error="Length"),
                envelope("fresh until before it was loaded", payload, fresh_until=1699999999999, error="Times"),
                envelope("fresh beyond its end", payload, fresh_until=1700003600001, error="Times"),
                envelope("a time beyond 2^63 - 1", payload, expires_at=2**63, error="Times"),
                envelope("a payload where there is no value", payload, kind=2, error="Payload"),
                flipped("a bit of the cost", a_value, 12, 0, "Checksum"),
                flipped("a bit of a time", a_value, 48, 3, "Checksum"),
                flipped("a bit of the key", a_value, 64, 7, "Checksum"),
                flipped("a bit of a stamp", a_value, 88, 7, "Checksum"),
                flipped("a bit of the payload", a_value, len(bytes.fromhex(a_value["bytes"])) - 1, 0, "Checksum"),
                flipped("a bit of the checksum", a_value, 60, 0, "Checksum"),
                {"description": "cut short", "bytes": a_value["bytes"][: 2 * 40], "error": "Length"},
                {"description": "somebody else's", "bytes": b"{\"id\":7}".hex(), "error": "Foreign"},
                {"description": "nothing", "bytes": "", "error": "Foreign"},
            ],
        },
        "payloads": {
            "about": "Codec 1: exactly one MessagePack object, arrays and maps at most 100 deep. Structs are maps by field name, fields in any order. "
                     "Three extensions: type 1, one byte n, stands for nothing (None, a unit) in n times Some; types 2 and 3, 16 bytes, big endian, for a "
                     "signed and an unsigned integer of 128 bits. Types that have a form for people (IP addresses, UUIDs, dates) have that. Of a function that returns an Option, the payload is what is in it (kind 1), or empty (kind 2).",
            "vectors": [
                {"description": "a struct", "kind": 1, "value": "User { id: 7, name: \"Ada\" }", "bytes": payload.hex()},
                {"description": "Some(None) of an Option<Option<u8>>", "kind": 1, "value": "Some(None)", "bytes": msgpack.packb(None).hex()},
                {"description": "a field of type Option<Option<u8>> with Some(None)", "kind": 1, "value": "Nested { level: Some(None) }",
                 "bytes": msgpack.packb({"level": msgpack.ExtType(1, b"\x01")}).hex()},
                {"description": "a field of type Option<Option<Option<u8>>> with Some(Some(None))", "kind": 1,
                 "value": "Deeper { level: Some(Some(None)) }", "bytes": msgpack.packb({"level": msgpack.ExtType(1, b"\x02")}).hex()},
                {"description": "integers of 128 bits", "kind": 1, "value": "(-2i128, 3u128)",
                 "bytes": msgpack.packb([msgpack.ExtType(2, b"\xff" * 15 + b"\xfe"), msgpack.ExtType(3, b"\x00" * 15 + b"\x03")]).hex()},
                {"description": "an IP address", "kind": 1, "value": "127.0.0.1", "bytes": msgpack.packb("127.0.0.1").hex()},
                {"description": "None of an Option<Option<u8>>", "kind": 2, "value": "None", "bytes": ""},
            ],
        },
    }
    print(json.dumps(sections, indent=1, ensure_ascii=True))


main()
