// The endpoint `probe`, built as any endpoint is: a file in cgi-bin/ of a copy of the checkout.
import fs from 'node:fs';
import path from 'node:path';
import { copyCheckout, here, make } from './site.mjs';

export function buildProbe(dir) {
    const copy = copyCheckout(path.join(dir, 'checkout'));
    fs.copyFileSync(path.join(here, 'probe.c'), path.join(copy.dir, 'cgi-bin/probe.c'));
    make(copy.dir, path.relative(copy.dir, path.join(copy.built, 'cgi-bin/probe')));
    return path.join(copy.built, 'cgi-bin/probe');
}
