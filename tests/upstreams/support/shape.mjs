// Holds a value against a description of it, and refuses whatever the description does not name.
import { ApiError } from './errors.mjs';

const bad = (code, param, message) => new ApiError(400, { code, param, message });

const type = (value) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value);

function demandType(value, wanted, at) {
    if (type(value) !== wanted)
        throw bad('invalid_type', at, `Invalid type for '${at}': expected ${wanted}, got ${type(value)}.`);
}

/** A description is a function (value, at) that throws an ApiError. */
export const text = ({ min = 0, max = Infinity, pattern = /^/ } = {}) => (value, at) => {
    demandType(value, 'string', at);
    if (value.length < min || value.length > max || !pattern.test(value))
        throw bad('invalid_value', at, `Invalid '${at}'.`);
};

export const number = ({ min = -Infinity, max = Infinity, whole = false } = {}) => (value, at) => {
    demandType(value, 'number', at);
    if (whole && !Number.isInteger(value))
        throw bad('invalid_type', at, `Invalid type for '${at}': expected an integer.`);
    if (value < min) throw bad('integer_below_min_value', at, `Invalid '${at}': below ${min}.`);
    if (value > max) throw bad('integer_above_max_value', at, `Invalid '${at}': above ${max}.`);
};

export const boolean = (value, at) => demandType(value, 'boolean', at);

export const oneOf = (...values) => (value, at) => {
    if (!values.includes(value))
        throw bad('invalid_value', at, `Invalid value for '${at}'. Supported values: ${values.join(', ')}.`);
};

export const nullOr = (inner) => (value, at) => value === null || inner(value, at);

export const list = (inner, { min = 0, max = Infinity } = {}) => (value, at) => {
    demandType(value, 'array', at);
    if (value.length < min || value.length > max) throw bad('invalid_value', at, `Invalid '${at}': ${value.length} items.`);
    value.forEach((item, index) => inner(item, `${at}[${index}]`));
};

const join = (at, name) => (at === '' ? name : `${at}.${name}`);

/** An object with the fields given; "name!" is required. Anything else in it is refused. */
export const object = (fields) => {
    const known = new Map(Object.entries(fields).map(([name, inner]) => [name.replace(/!$/, ''), inner]));
    const required = Object.keys(fields).filter((name) => name.endsWith('!')).map((name) => name.slice(0, -1));
    return (value, at = '') => {
        demandType(value, 'object', at);
        for (const [name, member] of Object.entries(value)) {
            const inner = known.get(name);
            if (!inner)
                throw bad('unknown_parameter', join(at, name), `Unknown parameter: '${join(at, name)}'.`);
            inner(member, join(at, name));
        }
        for (const name of required)
            if (!(name in value))
                throw bad('missing_required_parameter', join(at, name),
                          `Missing required parameter: '${join(at, name)}'.`);
    };
};

/** By the text at `key`: {server_vad: object(...), semantic_vad: object(...)}. */
export const variants = (key, descriptions) => (value, at) => {
    demandType(value, 'object', at);
    oneOf(...Object.keys(descriptions))(value[key], join(at, key));
    descriptions[value[key]](value, at);
};
