// Ports for servers under test.
import net from 'node:net';

/** Free on 127.0.0.1, and below those the kernel hands out, where a client's socket could sit on the one chosen. */
export async function freePort() {
    for (;;) {
        const port = 10240 + Math.floor(Math.random() * 22000);
        const free = await new Promise((resolve) => {
            const probe = net.createServer().once('error', () => resolve(false))
                .listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
        });
        if (free) return port;
    }
}
