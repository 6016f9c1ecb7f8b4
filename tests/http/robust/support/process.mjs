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

// The signals the process has blocked in its main thread or ignores, as one bit set.
export function takesSignal(pid, number) {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
    const bits = (name) => BigInt(`0x${new RegExp(`^${name}:\\s+([0-9a-f]+)`, 'm').exec(status)[1]}`);
    return ((bits('SigBlk') | bits('SigCgt') | bits('SigIgn')) >> BigInt(number - 1)) & 1n;
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
