"""Slow, obvious twin of mhpdata's JPEG decoder, and a writer of JPEGs that no encoder writes.

Strings of "0" and "1" for the bits, a dictionary for a Huffman code, one 8 x 8 matrix for the inverse DCT.
"""

import itertools
import re
import struct

import numpy as np

ZIGZAG = sorted(range(64), key=lambda i: (s := i // 8 + i % 8, i // 8 if s % 2 else i % 8))


# ------------------------------------------------------------------------------------------------- samples


def _basis():
    """Return the integer matrix of libjpeg's jidctint in one dimension: samples (rows) from coefficients (columns)."""
    even = {
        0: (8192, 8192, 8192, 8192),
        2: (10703, 4433, -4433, -10703),
        4: (8192, -8192, -8192, 8192),
        6: (4433, -10704, 10704, -4433),
    }
    odd = {
        1: (11363, 9633, 6437, 2260),
        3: (9633, -2259, -11362, -6436),
        5: (6437, -11362, 2261, 9633),
        7: (2260, -6436, 9633, -11363),
    }
    columns = [(even | odd)[n] for n in range(8)]
    return np.array([c + tuple(-x if n % 2 else x for x in c[::-1]) for n, c in enumerate(columns)], np.int64).T


BASIS = _basis()


def wrap(x):
    """Wrap int64 to 32 bits."""
    return x.astype(np.int32).astype(np.int64)


def inverse_dct(coefficients, steps):
    """Transform (..., 8, 8) quantised coefficients and their quantisation steps to uint8 samples."""
    columns = wrap(BASIS @ (coefficients.astype(np.int64) * steps) + (1 << 10)) >> 11
    rows = wrap(columns @ BASIS.T + (1 << 17) + (128 << 18)) >> 18
    return np.clip(rows, 0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------------------------- reading


def parts(data):
    """Return [(marker, content)] up to the scan, and the offset of its bytes."""
    at, found = 2, []
    while not found or found[-1][0] != 0xDA:
        marker, length = struct.unpack_from(">xBH", data, at)
        found.append((marker, data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found, at


def words(counts, symbols):
    """Convert a code from DHT's form to {bits: symbol}."""
    out, code, left = {}, 0, list(symbols)
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            out[f"{code:0{length}b}"] = left.pop(0)
            code += 1
        code <<= 1
    return out


def number(bits):
    """Return the value of the bits that follow a code."""
    if not bits:
        return 0
    return int(bits, 2) if bits[0] == "1" else int(bits, 2) - (1 << len(bits)) + 1


def header(data):
    """Return size, (rows, columns) of each component's blocks per unit, steps, pairs of codes, restart, offset."""
    steps, codes, restart = {}, {}, 0
    found, begin = parts(data)
    for marker, part in found:
        if marker == 0xDB:
            for at in range(0, len(part), 65):
                steps[part[at]] = np.zeros(64, np.int64)
                steps[part[at]][ZIGZAG] = list(part[at + 1 : at + 65])
        elif marker == 0xC4:
            while part:
                end = 17 + sum(part[1:17])
                codes[part[0]], part = words(part[1:17], part[17:end]), part[end:]
        elif marker == 0xDD:
            restart = int.from_bytes(part, "big")
        elif marker == 0xC0:
            frame = part
    size = struct.unpack_from(">HH", frame, 1)
    factors = [(sampling & 15, sampling >> 4) for sampling in frame[7::3]]
    kinds = part[2:7:2]
    return (
        size,
        factors,
        [steps[q].reshape(8, 8) for q in frame[8::3]],
        [(codes[kind >> 4], codes[16 + (kind & 15)]) for kind in kinds],
        restart,
        begin,
    )


class DamagedError(Exception):
    """Invalid code, or unexpected end of the bytes."""


def read_coefficients(data):
    """Return the coefficients of each component, (rows, columns of blocks, 64), in zigzag order."""
    size, factors, _, codes, restart, begin = header(data)
    units = [-(-n // (8 * f)) for n, f in zip(size, factors[0], strict=True)]
    out = [np.zeros((units[0] * down, units[1] * across, 64), np.int64) for down, across in factors]
    scan = re.split(rb"\xff+[^\x00\xff\xd0-\xd7]", data[begin:], maxsplit=1, flags=re.DOTALL)[0]
    segments = re.split(rb"\xff+[\xd0-\xd7]", scan)
    for unit in range(units[0] * units[1]):
        if unit == 0 or (restart and unit % restart == 0):
            if not segments:
                raise DamagedError
            plain = re.sub(rb"\xff+\x00", b"\xff", re.sub(rb"\xff+$", b"", segments.pop(0)))
            bits, last = iter("".join(f"{byte:08b}" for byte in plain)), [0, 0, 0]
        for c, (down, across) in enumerate(factors):
            for block in range(down * across):
                place = unit // units[1] * down + block // across, unit % units[1] * across + block % across
                last[c] = read_block(bits, codes[c], last[c], out[c][place])
    return out


def read_block(bits, codes, last, out):
    """Read one block from an iterator over bits into ``out``; return its DC."""

    def take(count):
        taken = "".join(itertools.islice(bits, count))
        if len(taken) < count:
            raise DamagedError
        return taken

    def symbol(code):
        word = ""
        while word not in code:
            word += take(1)
            if len(word) > 16:
                raise DamagedError
        return code[word]

    last += number(take(symbol(codes[0])))
    out[0] = np.int64(last).astype(np.int16)
    k = 1
    while k < 64:
        zeros, size = divmod(symbol(codes[1]), 16)
        if size == 0 and zeros != 15:
            break
        k += zeros
        if size:
            out[min(k, 63)] = number(take(size))
        k += 1
    return last


def decode(data):
    """Decode Y, Cb and Cr of a JPEG, each on its own grid, of the size that the image needs."""
    size, factors, steps, *_ = header(data)
    planes = []
    for c, coefficients in enumerate(read_coefficients(data)):
        blocks = np.zeros((*coefficients.shape[:2], 64), np.int64)
        blocks[..., ZIGZAG] = coefficients
        samples = inverse_dct(blocks.reshape(*coefficients.shape[:2], 8, 8), steps[c])
        plane = samples.transpose(0, 2, 1, 3).reshape(8 * samples.shape[0], 8 * samples.shape[1])
        height, width = (-(-n * f // m) for n, f, m in zip(size, factors[c], factors[0], strict=True))
        planes.append(plane[:height, :width])
    return planes


# ------------------------------------------------------------------------------------------------- writing


def random_code(rng, symbols, shortest=1):
    """Make a code of these symbols in DHT's form, with random lengths; no code is all ones."""
    counts, free, left = bytearray(16), 1, len(symbols)
    for length in range(1, 17):
        free *= 2
        least = 0 if length < 16 else left
        most = free - 1
        # leave room for the remaining symbols in 16 bits
        while most and (free - most) << (16 - length) <= left - most:
            most -= 1
        if length >= shortest:
            counts[length - 1] = min(left, 255, max(least, int(rng.integers(0, max(most, 0) + 1))))
        free -= counts[length - 1]
        left -= counts[length - 1]
    assert left == 0
    return bytes(counts), bytes(rng.permutation(symbols).astype(np.uint8))


def bits_of(value):
    """Return (size, bits) of a number that follows a code."""
    size = int(abs(value)).bit_length()
    return size, f"{value if value > 0 else value + (1 << size) - 1:0{size}b}" if size else ""


def block_bits(block, last, codes):
    """Write one block, 64 coefficients in zigzag order, as bits."""
    dc, ac = ({symbol: word for word, symbol in words(*code).items()} for code in codes)
    size, bits = bits_of(int(block[0]) - last)
    out, zeros = [dc[size], bits], 0
    for value in block[1:]:
        if value == 0:
            zeros += 1
            continue
        out += [ac[0xF0]] * (zeros // 16)
        size, bits = bits_of(int(value))
        out += [ac[zeros % 16 << 4 | size], bits]
        zeros = 0
    return "".join(out + [ac[0]] * (zeros > 0))


def stuffed(bits):
    """Pack bits into bytes, padded with ones, with a zero after each 255."""
    bits += "1" * (-len(bits) % 8)
    return int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:].replace(b"\xff", b"\xff\0") if bits else b""


def part(marker, content):
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def headers(size, factors, steps, codes, kinds, restart=None):
    """Write SOI to SOS. ``steps``: (3, 64), zigzag; ``codes``: {class and number: code}; ``kinds``: of components."""
    out = b"\xff\xd8" + b"".join(part(0xDB, bytes([q, *steps[q]])) for q in range(3))
    rows, columns = factors
    frame = struct.pack(">BHHB", 8, *size, 3) + bytes([1, columns << 4 | rows, 0, 2, 0x11, 1, 3, 0x11, 2])
    out += part(0xC0, frame) + b"".join(part(0xC4, bytes([kind]) + b"".join(code)) for kind, code in codes.items())
    if restart is not None:
        out += part(0xDD, struct.pack(">H", restart))
    return out + part(0xDA, bytes([3, 1, kinds[0], 2, kinds[1], 3, kinds[2], 0, 63, 0]))


def encode(size, factors, coefficients, steps, codes, kinds=(0, 0x11, 0x11), restart=0, fill=b""):
    """Make a JPEG of coefficients (in the form of :func:`read_coefficients`); ``fill`` precedes each restart marker."""
    units = [-(-n // (8 * f)) for n, f in zip(size, factors, strict=True)]
    segments, bits, last = [], "", [0, 0, 0]
    for unit in range(units[0] * units[1]):
        if restart and unit and unit % restart == 0:
            segments.append(stuffed(bits))
            bits, last = "", [0, 0, 0]
        for c, (down, across) in enumerate((factors, (1, 1), (1, 1))):
            for block in range(down * across):
                place = unit // units[1] * down + block // across, unit % units[1] * across + block % across
                chosen = coefficients[c][place]
                bits += block_bits(chosen, last[c], (codes[kinds[c] >> 4], codes[16 | kinds[c] & 15]))
                last[c] = int(chosen[0])
    scan = stuffed(bits)
    for i, segment in reversed(list(enumerate(segments))):
        scan = segment + fill + bytes([0xFF, 0xD0 + i % 8]) + scan
    return headers(size, factors, steps, codes, kinds, restart or None) + scan + b"\xff\xd9"
