// Looking at processes through /proc.
import fs from 'node:fs';

export function alive(pid) {
    try {
        return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
        return false;
    }
}

export function threads(pid) {
    return fs.readdirSync(`/proc/${pid}/task`).length;
}

// Open descriptors. Root only: endpoints are not dumpable.
export function descriptors(pid) {
    return fs.readdirSync(`/proc/${pid}/fd`).length;
}

export function residentKb(pid) {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

// Processes whose command line holds text.
export function processesOf(text) {
    return fs
        .readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map(Number)
        .filter((pid) => {
            try {
                const line = fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
                return pid !== process.pid && line.includes(text) && alive(pid);
            } catch {
                return false;
            }
        });
}

// Processes that run the program at this path.
export function processesRunning(program) {
    return processesOf(program).filter((pid) => {
        try {
            return fs.readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[0] === program;
        } catch {
            return false;
        }
    });
}
