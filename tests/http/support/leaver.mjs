// A client that goes away. (Node.js 18's fetch() does not always close the connection of a request
// that is aborted.)
import http from 'node:http';

/** Sends a POST on a connection of its own. */
export class Leaver {
    constructor(url, { token, origin, accept = 'application/json', body }) {
        this.request = http.request(url, {
            method: 'POST', agent: false,
            headers: { Origin: origin, 'Content-Type': 'application/json', Accept: accept,
                       ...(token && { Authorization: `Bearer ${token}` }) },
        });
        this.request.on('error', () => {});
        this.response = new Promise((resolve) => this.request.once('response', resolve));
        this.request.end(JSON.stringify(body));
    }

    /** The first bytes of the answer's body. */
    async first() {
        const response = await this.response;
        response.on('error', () => {}); // of leaving
        return new Promise((resolve) => response.once('data', resolve));
    }

    leave() {
        this.request.destroy();
    }
}
