import { z } from 'zod';
import type { Contradiction } from './contradiction.ts';
import { address, duration, networks, origin, path } from './values.ts';

/** `http`: where shiplog serves, and for whom. */
export function http(base: string) {
  return z
    .strictObject({
      listen: address
        .prefault('127.0.0.1:5000')
        .describe('The registry, the logs, metrics and health. Off the loopback only when there are users.'),
      public_url: origin
        .optional()
        .meta({ fallback: 'what clients ask for' })
        .describe(
          'Under which URL clients reach this server, such as `https://registry.corp`; else it is what they ask for ' +
            '(`Host`), or what a trusted proxy says (`X-Forwarded-Proto`, `X-Forwarded-Host`, ' +
            'else `Forwarded`).',
        ),
      trusted_proxies: networks.describe('Networks whose `X-Forwarded-For` is believed.'),
      idle_timeout: duration
        .prefault('60s')
        .describe('How long a client may be silent in the middle of a request or an answer.'),
      shutdown_grace: duration
        .prefault('8s')
        .describe(
          'How long requests may go on after SIGTERM, and syslog connections that are never silent for a second. ' +
            '`docker stop` kills after 10 s unless told otherwise.',
        ),
      tls: z
        .strictObject({
          cert: path(base)
            .optional()
            .describe(
              'A PEM file with the certificate of the server, and those between it and its root: with it HTTPS is ' +
                'spoken on `http.listen` ([tls.md](tls.md)). It is read again within 30 s of a change and at SIGHUP; ' +
                'connections go on.',
            ),
          key: path(base).optional().describe('A PEM file with its key.'),
        })
        .prefault({}),
    })
    .prefault({});
}

/** What of it is wrong together. */
export function contradictionsOfHttp({ tls: { cert, key } }: z.output<ReturnType<typeof http>>): Contradiction[] {
  if ((cert === undefined) === (key === undefined)) return [];
  const [missing, given] = cert === undefined ? ['cert', 'key'] : ['key', 'cert'];
  return [{ key: `http.tls.${missing}`, message: `http.tls.${given} is given, so this is needed too` }];
}
