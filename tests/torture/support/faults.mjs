// The control file of a tortured program: what fails next, and what was counted. See faults.h.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { build, checkout } from '../../http/robust/support/site.mjs';

export const MEMORY = 1n, FILE = 2n, PEER = 4n, STEP = 8n, THREAD = 16n, DISK = 32n, LOCK = 64n;
const FAILS = 0n, SHORT = 1n, LIES = 2n, ROLLS_BACK = 3n;
const SQLITE_BUSY = 5n, SQLITE_NOMEM = 7n, SQLITE_IOERR = 10n, SQLITE_FULL = 13n;
const EVER = (1n << 62n);

// The ways in which a call of each kind can fail, by the names the tests give them.
export const FAULTS = {
    memory: { kinds: MEMORY },
    'memory for good': { kinds: MEMORY, for: EVER },
    file: { kinds: FILE | LOCK },
    'files for good': { kinds: FILE, for: EVER },
    'disk falling short': { kinds: DISK, way: SHORT },
    'disk full for good': { kinds: DISK, for: EVER },
    connection: { kinds: PEER },
    'step with an I/O error': { kinds: STEP, error: SQLITE_IOERR },
    'step that is done all the same': { kinds: STEP, error: SQLITE_IOERR, way: LIES },
    'step without memory': { kinds: STEP, error: SQLITE_NOMEM },
    'step on a busy database': { kinds: STEP, error: SQLITE_BUSY },
    'step on a full disk': { kinds: STEP, error: SQLITE_FULL, way: ROLLS_BACK },
};

// Threads are made once, at the start.
export const THREADS = ['thread', { kinds: THREAD }];

// AddressSanitizer has the allocator: there it finds the leaks, and memory is not made to fail.
const sanitized = path.basename(build) === 'asan';

// Those an endpoint can come to: the database's only where it has one.
export function faultsOf(scenario) {
    return Object.entries(FAULTS).filter(([, { kinds }]) =>
        (scenario.stores || (kinds !== STEP && kinds !== DISK)) && !(sanitized && kinds === MEMORY));
}

// Cold, there are thousands of allocations, nearly all of them while OpenSSL initialises: the first
// sixty are tortured one by one, of the others a sample. What fails for good fails all the more of
// what comes behind, so a sample does there from the start.
export function sampling(scenario, fault) {
    if (fault.for) return { dense: 5, stride: fault.kinds === MEMORY ? 401 : 9 };
    return { dense: 60, stride: 151 };
}

const WORDS = ['kinds', 'first', 'last', 'way', 'error', 'counted', 'failed', 'blocks', 'bytes'];
const SITE_MAX = 2048;
const library = path.join(build, 'tests/torture/faults.so');

export class Faults {
    constructor(file) {
        this.file = file;
        fs.writeFileSync(file, Buffer.alloc(WORDS.length * 8 + SITE_MAX), { mode: 0o666 });
        fs.chmodSync(file, 0o666);
        this.fd = fs.openSync(file, 'r+');
    }

    close() {
        fs.closeSync(this.fd);
        fs.rmSync(this.file);
    }

    // What puts a program under these faults.
    get env() {
        const env = { LD_PRELOAD: library, SB_FAULTS: this.file };
        if (sanitized) env.ASAN_OPTIONS = 'verify_asan_link_order=0';
        return env;
    }

    write(name, ...values) {
        fs.writeSync(this.fd, new BigInt64Array(values.map(BigInt)), 0, 8 * values.length, 8 * WORDS.indexOf(name));
    }

    read(name) {
        const word = new BigInt64Array(1);
        fs.readSync(this.fd, word, 0, 8, 8 * WORDS.indexOf(name));
        return Number(word[0]);
    }

    // From now on calls are counted, and number `at` (0: none) fails. The kinds come last: they are
    // what starts it.
    arm(fault, at) {
        const last = at === 0 ? 0n : BigInt(at) + (fault.for ?? 1n) - 1n;
        this.write('first', at, last, fault.way ?? FAILS, fault.error ?? 0n, 0, 0);
        this.write('kinds', fault.kinds);
    }

    disarm() {
        this.write('kinds', 0);
    }

    get counted() {
        return this.read('counted');
    }

    get failed() {
        return this.read('failed');
    }

    // The stack of the first call that failed, for whoever has to find it.
    site() {
        const text = Buffer.alloc(SITE_MAX);
        fs.readSync(this.fd, text, 0, SITE_MAX, 8 * WORDS.length);
        return text
            .toString('latin1', 0, text.indexOf(0))
            .split(' ')
            .map((frame) => named(frame))
            .join('\n      ');
    }
}

// module+0xoffset with the line it stands for where it is one of ours.
function named(frame) {
    const [module, offset] = frame.split('+');
    const program = offset && execFileSync('find', [path.join(build, 'cgi-bin'), path.join(build, 'bin'), '-type', 'f', '-name', module], {
        encoding: 'utf8',
    }).trim().split('\n')[0];
    if (!program) return frame;
    const at = `0x${(Number(offset) - 1).toString(16)}`;
    const line = execFileSync('addr2line', ['-sfe', program, at], { encoding: 'utf8', cwd: checkout });
    return `${frame} ${line.trim().replace('\n', ' ')}`;
}
