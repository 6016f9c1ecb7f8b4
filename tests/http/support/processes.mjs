// Which processes belong to a test's server: their command line names its directory, which holds
// the very programs and configuration they were started with; and what descends from those.
import { readdirSync, readFileSync } from 'node:fs';

function read(pid, file) {
    try {
        return readFileSync(`/proc/${pid}/${file}`, 'latin1');
    } catch {
        return ''; // gone meanwhile
    }
}

/** [pid, ppid, start time] of every process that is no zombie. */
function table() {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
        const fields = read(pid, 'stat').split(') ').pop().split(' ');
        return fields.length > 19 && fields[0] !== 'Z'
            ? [{ pid: Number(pid), parent: Number(fields[1]), started: fields[19] }] : [];
    });
}

/** What lives of directory, by pid. */
function family(all, directory) {
    const found = new Set(all.filter(({ pid }) => read(pid, 'cmdline').includes(`${directory}/`))
        .map(({ pid }) => pid));
    for (let size = 0; size !== found.size;) {
        size = found.size;
        for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
    }
    return found;
}

/** What lives of directory, as ["pid started", ...]. */
export function processesOf(directory) {
    const all = table();
    const found = family(all, directory);
    return all.filter(({ pid }) => found.has(pid) && pid !== process.pid)
        .map(({ pid, started }) => `${pid} ${started}`);
}

/** The names of the programs that hear and speak, and run for an endpoint of directory. */
export function programsOf(directory) {
    const names = [...family(table(), directory)].map((pid) => read(pid, 'comm').trim());
    return names.filter((name) => /^(setpriv|prlimit|ffmpeg|flite|pocketsphinx)/.test(name));
}

/** Those of list that still live. */
export function stillAlive(list) {
    const now = new Set(table().map(({ pid, started }) => `${pid} ${started}`));
    return list.filter((entry) => now.has(entry));
}
