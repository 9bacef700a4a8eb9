import { once } from 'node:events';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { text } from 'node:stream/consumers';
import type { DataView, SavedObject } from './objects.ts';
import { toNdjson } from './objects.ts';

/** How Kibana is reached. */
export interface KibanaOptions {
  /** With the path of a space (`/s/logs`), or of a proxy, if there is one. */
  readonly url: string;
  readonly auth?: { readonly apiKey: string } | { readonly username: string; readonly password: string };
  /** Certificate authorities to trust instead of the system's, as PEM. */
  readonly ca?: string;
}

/** Kibana is away, or refuses; the message says what to do. */
export class KibanaError extends Error {
  override readonly name = 'KibanaError';
}

/** After so long without an answer, in ms, it counts as away. */
const patience = 60_000;

/** Makes a data view, in place of one that is there. @throws {KibanaError} */
export async function putDataView(options: KibanaOptions, dataView: DataView): Promise<void> {
  await post(options, '/api/data_views/data_view', json({ data_view: dataView, override: true }));
}

/** Makes a data view the one that is shown first, where there is none yet. @throws {KibanaError} */
export async function setDefaultDataView(options: KibanaOptions, id: string): Promise<void> {
  await post(options, '/api/data_views/default', json({ data_view_id: id, force: false }));
}

/** Imports saved objects, in place of those that are there. @throws {KibanaError} */
export async function importObjects(options: KibanaOptions, objects: readonly SavedObject[]): Promise<void> {
  const form = new FormData();
  form.append('file', new Blob([toNdjson(objects)], { type: 'application/ndjson' }), 'shiplog.ndjson');
  const encoded = new Response(form);
  const answer = await post(options, '/api/saved_objects/_import?overwrite=true', {
    type: encoded.headers.get('content-type') ?? '',
    bytes: await encoded.bytes(),
  });
  if (isObject(answer) && answer['success'] === true) return;
  const errors = isObject(answer) ? JSON.stringify(answer['errors']) : 'it does not say why';
  throw new KibanaError(`Kibana did not import all objects: ${errors}`);
}

interface Body {
  readonly type: string;
  readonly bytes: Uint8Array;
}

function json(value: object): Body {
  return { type: 'application/json', bytes: Buffer.from(JSON.stringify(value)) };
}

async function post({ url, auth, ca }: KibanaOptions, path: string, { type, bytes }: Body): Promise<unknown> {
  const target = new URL(url.replace(/\/$/, '') + path);
  const headers = {
    'content-type': type,
    'content-length': String(bytes.length),
    // Kibana takes no request that could come from a foreign page.
    'kbn-xsrf': 'shiplog',
    ...(auth !== undefined && { authorization: authorization(auth) }),
  };
  const signal = AbortSignal.timeout(patience);
  const options = { method: 'POST', headers, signal, agent: false, ...(ca !== undefined && { ca }) } as const;
  try {
    const request = (target.protocol === 'https:' ? requestHttps : requestHttp)(target, options);
    request.end(bytes);
    const [answer]: IncomingMessage[] = await once(request, 'response');
    if (answer === undefined) throw new Error('it does not answer');
    const body = await text(answer);
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return parse(body);
    throw new KibanaError(`Kibana refuses ${path} (${status}): ${reasonOf(body)}. ${advice(status)}`);
  } catch (error) {
    if (error instanceof KibanaError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new KibanaError(`Kibana does not answer at ${target.origin}: ${reason}`, { cause: error });
  }
}

function authorization(auth: NonNullable<KibanaOptions['auth']>): string {
  if ('apiKey' in auth) return `ApiKey ${auth.apiKey}`;
  return `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new KibanaError(
      'what answers is not Kibana, perhaps a proxy before it: check logs.elasticsearch.kibana.url',
      {
        cause,
      },
    );
  }
}

/** Kibana's own reason, or the start of what a proxy said. */
function reasonOf(body: string): string {
  try {
    const answer: unknown = JSON.parse(body);
    if (isObject(answer) && typeof answer['message'] === 'string') return answer['message'];
  } catch {
    // It is no JSON.
  }
  return JSON.stringify(body.slice(0, 200));
}

function advice(status: number): string {
  switch (status) {
    case 401:
      return 'Check the user and password, or the API key, of logs.elasticsearch.kibana (else of logs.elasticsearch).';
    case 403:
      return (
        'The credentials need the Kibana privilege All for Data View Management and Saved Objects Management; else import ' +
        'kibana/shiplog.ndjson by hand (Stack Management, Saved Objects).'
      );
    case 404:
      return 'Check logs.elasticsearch.kibana.url: it is that of Kibana 8.9 or newer, with the path of the space.';
    default:
      return 'What was made stays; run it again.';
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
