// multipart/form-data (RFC 7578) to the letter: what a strict server takes.
import { ApiError } from './errors.mjs';

const refuse = (message) => new ApiError(400, { code: 'invalid_multipart', message });

function parsePart(bytes) {
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) throw refuse('a part has no head');
    const headers = new Map(bytes.toString('latin1', 0, end).split('\r\n').map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    const disposition = headers.get('content-disposition') ?? '';
    const [, name, , filename] =
        /^form-data; name="([^"]*)"(; filename="([^"]*)")?$/.exec(disposition) ?? [];
    if (name === undefined) throw refuse(`not the disposition of a field: ${disposition}`);
    return { name, filename, type: headers.get('content-type'), data: bytes.subarray(end + 4) };
}

/** Map of name -> {name, filename, type, data}. A field that is there twice is refused. */
export function parseMultipart(contentType, body) {
    const boundary = /^multipart\/form-data; *boundary="?([0-9A-Za-z'()+_,.\/:=?-]{1,70})"?$/.exec(contentType ?? '')?.[1];
    if (boundary === undefined)
        throw new ApiError(415, { code: 'unsupported_content_type', message: `not multipart/form-data: ${contentType}` });
    const delimiter = Buffer.from(`\r\n--${boundary}`);
    const text = Buffer.concat([Buffer.from('\r\n'), body]);
    const parts = new Map();
    for (let at = 0; ;) {
        if (text.indexOf(delimiter, at) !== at) throw refuse('no boundary where one must be');
        at += delimiter.length;
        if (text.toString('latin1', at, at + 2) === '--') {
            if (!['', '\r\n'].includes(text.toString('latin1', at + 2))) throw refuse('bytes behind the end');
            return parts;
        }
        if (text.toString('latin1', at, at + 2) !== '\r\n') throw refuse('no line end behind a boundary');
        const next = text.indexOf(delimiter, at);
        if (next < 0) throw refuse('the last boundary is missing');
        const part = parsePart(text.subarray(at + 2, next));
        if (parts.has(part.name)) throw refuse(`${part.name} is there twice`);
        parts.set(part.name, part);
        at = next;
    }
}
