// Memory and descriptors of each endpoint's processes, and the sizes of what lies in directories.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import path from 'node:path';
import { processesOf } from '../../http/support/processes.mjs';

const kib = (text, name) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)[1]);

/** One process, or undefined if it is none of cgiBin or gone. */
function look(pid, started, cgiBin) {
    try {
        const [program] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        if (!program.startsWith(`${cgiBin}/`)) return undefined;
        const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
        return { endpoint: program.slice(cgiBin.length + 1), id: `${pid} ${started}`,
                 ownKib: kib(rollup, 'Anonymous'), rssKib: kib(rollup, 'Rss'), pssKib: kib(rollup, 'Pss'),
                 descriptors: readdirSync(`/proc/${pid}/fd`).map((fd) => readlink(pid, fd)),
                 threads: readdirSync(`/proc/${pid}/task`).length };
    } catch (error) {
        if (error.code === 'ENOENT' || error.code === 'ESRCH' || error instanceof TypeError) return undefined;
        throw error;
    }
}

function readlink(pid, fd) {
    try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
        return 'closed';
    }
}

/** What the endpoints of a server's directory hold now. */
export function processes(directory) {
    const cgiBin = path.join(directory, 'cgi-bin');
    return processesOf(directory).map((entry) => entry.split(' '))
        .map(([pid, started]) => look(pid, started, cgiBin)).filter(Boolean);
}

/** {path: bytes} of the files below directory. */
export function files(directory) {
    const found = {};
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
        const full = path.join(directory, entry.name);
        if (entry.isDirectory()) Object.assign(found, files(full));
        else if (entry.isFile()) found[full] = statSync(full, { throwIfNoEntry: false })?.size ?? 0;
    }
    return found;
}
