// An OpenID Connect provider of the user's own: oauth2-mock-server, whose key requests are counted.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { freePort } from './port.mjs';

const { OAuth2Server } = createRequire(import.meta.url)('oauth2-mock-server');

export class Provider {
    keyRequests = 0;
    #provider = new OAuth2Server(); // its handler and keys; the socket is ours
    #port;

    /** Serves a key for each of these algorithms, named after it. */
    async start(...algorithms) {
        const handle = this.#provider.service.requestHandler;
        this.server = createServer((request, response) => {
            this.keyRequests += request.url === '/jwks' ? 1 : 0;
            handle(request, response);
        });
        for (const alg of algorithms) await this.addKey(alg, alg);
        await this.listen();
        this.#provider.issuer.url = this.issuer;
        return this;
    }

    /** Also after stop(), where it was. */
    async listen() {
        this.#port ??= await freePort();
        await new Promise((resolve) => this.server.listen(this.#port, '127.0.0.1', resolve));
    }

    async stop() {
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
    }

    addKey(alg, kid) {
        return this.#provider.issuer.keys.generate(alg, { kid });
    }

    get issuer() {
        return `http://127.0.0.1:${this.#port}`;
    }

    get url() {
        return `${this.issuer}/jwks`;
    }

    /** A token by the key kid; claims and header win over the provider's, undefined takes one out. */
    token(kid, claims = {}, header = {}) {
        return this.#provider.issuer.buildToken({
            kid,
            scopesOrTransform: (given, payload) => {
                Object.assign(given, header);
                Object.assign(payload, { sub: 'somebody' }, claims);
            },
        });
    }
}
