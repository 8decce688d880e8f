// What a gateway in Haraka would do at the least: the whole mail onto a Redis stream before the sender hears yes.
'use strict';

const dns = require('dns');
const { Writable } = require('stream');
const { createClient } = require('redis');

// Haraka asks the DNS about every client before it greets; here nobody has to wait for that.
dns.reverse = (address, answer) => process.nextTick(answer, null, ['localhost']);

let redis;

exports.register = function () {
    this.register_hook('rcpt', 'take');
    this.register_hook('queue', 'publish');
    redis = createClient({ url: process.env.BENCH_REDIS });
    redis.on('error', (error) => this.logerror(error.message));
    redis.connect();
};

exports.take = (next) => next(OK);

exports.publish = (next, connection) => {
    const pieces = [];
    const whole = new Writable({
        write(piece, encoding, done) {
            pieces.push(piece);
            done();
        },
    });
    whole.on('finish', () => {
        redis.xAdd('{haraka}:mail', '*', { event: Buffer.concat(pieces) }).then(() => next(OK), () => next(DENYSOFT));
    });
    connection.transaction.message_stream.pipe(whole);
};
