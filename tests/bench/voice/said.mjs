// What is said in the voice bench. A recording carries its caller's number, which comes back in
// transcript and reply: an answer to another's question would show.
const RATE = 16000, SECONDS = 1.5, HEAD = 44;

/** A second and a half of a tone as WAV: 16 bit, mono, 16 kHz. Its last sample is the number. */
export function recording(number) {
    const samples = RATE * SECONDS;
    const file = Buffer.alloc(HEAD + 2 * samples);
    file.write('RIFF', 0);
    file.writeUInt32LE(file.length - 8, 4);
    file.write('WAVEfmt ', 8);
    for (const [at, value] of [[16, 16], [24, RATE], [28, 2 * RATE]]) file.writeUInt32LE(value, at);
    for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) file.writeUInt16LE(value, at);
    file.write('data', 36);
    file.writeUInt32LE(2 * samples, 40);
    for (let i = 0; i < samples; i++) file.writeInt16LE(Math.round(8000 * Math.sin(i * 0.1)), HEAD + 2 * i);
    file.writeInt16LE(number, file.length - 2);
    return file;
}

/** Where an OpusHead tells the rate before coding, which changes nothing in decoding (RFC 7845, 5.1). */
const rateAt = (file) => file.indexOf('OpusHead') + 12;

/** A recording of a browser's kind with the number in that place, which stays when its packets are put into Ogg. */
export function numbered(webm, number) {
    const file = Buffer.from(webm);
    file.writeUInt32LE(number, rateAt(file));
    return file;
}

export const numberIn = (file) => file.toString('latin1', 0, 4) === 'RIFF'
    ? file.readInt16LE(file.length - 2) : file.readUInt32LE(rateAt(file));

export const sayNumber = (number) => `This is caller ${number}. Are you open on Saturdays?`;

/** Five sentences, none of which is cut into two clauses. */
export const sentences = (number) => [
    `Yes, caller ${number} is welcome on Saturdays.`,
    'We open at nine in the morning and close at four in the afternoon.',
    'Please bring your insurance card and a list of the medicine that you take.',
    'There is free parking behind the building, and the tram stops in front of the door.',
    'If you cannot come, please call us the day before so that another may have your place.',
];

export const replyTo = (said) => sentences(Number(/caller (\d+)/.exec(said)?.[1])).join(' ');
