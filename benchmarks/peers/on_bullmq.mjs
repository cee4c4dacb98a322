// A BullMQ worker on Redis that posts with undici. Its calls share one thread, and wait for their answers side by side.
//
//   node on_bullmq.mjs fill --redis URL --mails N                put the jobs into the queue
//   node on_bullmq.mjs work --redis URL --stub URL --in-flight N  post them, until SIGTERM
//   node on_bullmq.mjs show --number N                            print the body of a mail, as it is posted
//
// A job whose worker died is run again after its lock is over, and its mail may go out twice.

import { parseArgs } from "node:util";
import { Queue, Worker } from "bullmq";
import { Pool } from "undici";

const QUEUE = "post";
const CHUNK = 1_000; // jobs added by one pipeline
const TIMEOUT_MS = 60_000;
// As BullMQ's guides have it: a failed call is tried again, later each time; a job that is done is not kept, so that
// Redis does not grow; a job that failed for good is kept for a person.
const JOB = { attempts: 3, backoff: { type: "exponential", delay: 1_000 }, removeOnComplete: true };

const DOMAIN = "mg.example.org";
const BOUNDARY = "5f0c2ab4e97d4c3fb1d6a7c8e9f01234";
const LINE = "Hello %recipient.name%, your order is on its way and should be with you within two days.";
const CALL = {
  method: "POST",
  path: `/v3/${DOMAIN}/messages`,
  headers: {
    authorization: `Basic ${Buffer.from("api:key").toString("base64")}`,
    accept: "application/json",
    "content-type": `multipart/form-data; boundary=${BOUNDARY}`,
  },
};

/** The form's fields, as benchmarks/form.py has them. */
function fields(number) {
  const dispatch = `dsp_${String(number).padStart(12, "0")}`;
  return {
    from: `Ann <ann@${DOMAIN}>`,
    to: "Reader <reader@example.org>",
    subject: "%recipient.name%, your order is on its way",
    text: `${LINE}\n${LINE}`,
    html: `<p>${LINE}</p>\n<p>${LINE}</p>\n<p>${LINE}</p>`,
    "h:Message-Id": `<${dispatch}@${DOMAIN}>`,
    "v:run": "run_000000000001",
    "v:dispatch": dispatch,
    "v:attempt": "1",
    "o:tag": "orders",
    "o:tracking-opens": "yes",
    "recipient-variables": '{"reader@example.org": {"name": "Reader"}}',
  };
}

/** One string, written to the socket at once. With FormData a mail takes three times the processor. */
function multipart(form) {
  let body = "";
  for (const name in form) {
    body += `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${form[name]}\r\n`;
  }
  return `${body}--${BOUNDARY}--\r\n`;
}

async function post(pool, number) {
  const { statusCode, body } = await pool.request({ ...CALL, body: multipart(fields(number)) });
  await body.dump(); // else its connection is not free for the next call
  if (statusCode >= 300) throw new Error(`mail ${number} was answered by ${statusCode}`);
}

async function fill({ redis, mails }) {
  const queue = new Queue(QUEUE, { connection: { url: redis }, defaultJobOptions: JOB });
  for (let first = 0; first < Number(mails); first += CHUNK) {
    const length = Math.min(CHUNK, Number(mails) - first);
    await queue.addBulk(Array.from({ length }, (_, place) => ({ name: "post", data: { number: first + place } })));
  }
  await queue.close();
}

function work({ redis, stub, "in-flight": inFlight }) {
  const concurrency = Number(inFlight);
  const pool = new Pool(stub, { connections: concurrency, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
  // A worker waits for its Redis as long as it takes (`null`), as BullMQ asks for.
  const connection = { url: redis, maxRetriesPerRequest: null };
  const worker = new Worker(QUEUE, (job) => post(pool, job.data.number), { connection, concurrency });
  worker.on("error", (error) => console.error(error));
  worker.on("failed", (job, error) => console.error(`job ${job?.id}: ${error.message}`));
  process.once("SIGTERM", async () => {
    await worker.close(); // takes no more jobs, and waits for those in hand
    await pool.close();
  });
}

function show({ number }) {
  process.stdout.write(multipart(fields(Number(number))));
}

const options = Object.fromEntries(
  ["redis", "stub", "mails", "in-flight", "number"].map((name) => [name, { type: "string" }]),
);
const { positionals, values } = parseArgs({ options, allowPositionals: true });
await { fill, work, show }[positionals[0]](values);
