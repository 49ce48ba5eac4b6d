export default function About() {
  return (
    <>
      <h1>About us</h1>
      <p>A workshop of nine people.</p>
    </>
  );
}
