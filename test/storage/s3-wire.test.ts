import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openS3 } from '../../storage/drivers/s3.ts';
import { emptyPayload, S3Signer } from '../../storage/drivers/s3-signature.ts';
import { ScriptedS3 } from '../support/scripted-s3.ts';

const read = (name: string): string => readFileSync(join(import.meta.dirname, '../support/certificates', name), 'utf8');

/** The example "GET Object" of the Amazon S3 API reference, "Signature Calculations for the Authorization Header". */
const example = {
  identity: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
  request: {
    method: 'GET',
    path: '/test.txt',
    query: '',
    headers: { host: 'examplebucket.s3.amazonaws.com', range: 'bytes=0-9' },
    payload: emptyPayload,
  },
  now: Date.UTC(2013, 4, 24),
} as const;

test('the example of the S3 API reference is signed as it is there', () => {
  const signed = new S3Signer('us-east-1').sign(example.request, example.identity, example.now);
  expect(signed['x-amz-date']).toBe('20130524T000000Z');
  expect(signed['authorization']).toBe(
    'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, ' +
      'SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, ' +
      'Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  );
});

test('another day, or another secret, has another key; a session’s token is sent and signed', () => {
  const signer = new S3Signer('us-east-1');
  const sign = (secret: string, now: number, token?: string): string | undefined =>
    signer.sign(example.request, { accessKeyId: 'a', secretAccessKey: secret, sessionToken: token }, now).authorization;
  const [first, nextDay, other] = [
    sign('one', example.now),
    sign('one', example.now + 86_400_000),
    sign('two', example.now),
  ];
  expect(new Set([first, nextDay, other]).size).toBe(3);
  expect(sign('one', example.now)).toBe(first);
  expect(sign('one', example.now, 'token')).toContain('x-amz-date;x-amz-security-token,');
});

test('over TLS, by an authority that is configured, bodies are not hashed to be signed', async () => {
  await using s3 = await ScriptedS3.start();
  const server = createServer({ cert: read('server.pem'), key: read('server.key') }, (request, response) => {
    const { method, url, headers } = request;
    const passed = httpRequest(new URL(url ?? '', s3.options.endpoint), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    request.pipe(passed);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  await using driver = await openS3({ ...s3.options, endpoint: `https://127.0.0.1:${port}`, ca: read('ca.pem') });
  await driver.put('a/b', Buffer.from('1'));
  expect(await driver.get('a/b', 10)).toEqual(Buffer.from('1'));
  const put = s3.seen.find(({ method }) => method === 'PUT');
  expect(put?.headers['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD');
  expect(put?.headers['x-amz-checksum-crc32']).toBe('g9zvtw==');
  server.closeAllConnections();
  server.close();
});

test('keys are sent as S3 wants them encoded', async () => {
  await using s3 = await ScriptedS3.start();
  await using driver = await openS3({ ...s3.options, prefix: "a b!'()*+é" });
  await driver.put('c~d', Buffer.from('1'));
  expect([...s3.objects.keys()]).toEqual(["a b!'()*+é/c~d"]);
  expect(await driver.stat('c~d')).toEqual({ size: 1 });
});

test('a clock that is wrong is set by what S3 says', async () => {
  await using s3 = await ScriptedS3.start();
  await using driver = await openS3(s3.options);
  s3.failOnce(({ method }) => method === 'PUT', { status: 403, code: 'RequestTimeTooSkewed' });
  await driver.put('a/b', Buffer.from('1'));
  expect(await driver.get('a/b', 10)).toEqual(Buffer.from('1'));
});
