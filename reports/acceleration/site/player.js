"use strict";
// All videos of a scene on one clock, that of the first. The others are held to it: who is a little off changes its
// speed, who is ahead waits, and who is far away jumps. The first waits too where another one cannot follow. Without
// this file every video has its own controls.
(() => {
  const FAR = 3; // frames beyond which a video jumps
  const AHEAD = 0.35; // frames beyond which a video waits; sound starts later than pictures, so that all do at first
  const AGAIN = 0.1; // frames within which it goes on
  const BEHIND = 0.6; // frames beyond which the first waits for a video
  const NEAR = 0.25; // frames within which a video is left alone
  const GAIN = 0.08; // change of the rate for each frame that a video is ahead
  const LEAST = 0.005; // smallest change of a rate
  const HOLD = 400; // ms between two changes

  class Scene {
    constructor(section) {
      this.section = section;
      this.fps = Number(section.dataset.fps);
      this.videos = [...section.querySelectorAll("video")];
      this.bar = section.querySelector(".transport");
      this.find = (name) => this.bar.querySelector(name);
      this.picture = section.querySelector(".curves");
      this.speed = 1;
      this.playing = false;
      this.held = new Map(); // video to the time until which its rate stays
      this.prepare();
    }

    prepare() {
      this.bar.hidden = false;
      for (const video of this.videos) {
        video.removeAttribute("controls");
        video.muted = true;
        video.addEventListener("click", () => this.toggle());
      }
      this.lead = this.videos[0];
      this.lead.addEventListener("ended", () => this.stop());
      this.listen(0);
      this.find(".play").addEventListener("click", () => this.toggle());
      this.find(".back").addEventListener("click", () => this.step(-1));
      this.find(".forward").addEventListener("click", () => this.step(1));
      this.find(".speed").addEventListener("change", (event) => this.pace(Number(event.target.value)));
      this.find(".sound").addEventListener("change", (event) => this.listen(Number(event.target.value)));
      this.find(".seek").addEventListener("input", (event) => this.seek((event.target.value / 1000) * this.length));
      if (this.picture) this.picture.addEventListener("click", (event) => this.point(event));
    }

    get length() {
      return Number.isFinite(this.lead.duration) ? this.lead.duration : Number(this.section.dataset.seconds);
    }

    // Every video whole and with its length known. Simple web servers cannot send parts of a file, and then a browser
    // cannot jump; a whole file in memory can. Pages from files may not fetch, but need not.
    load() {
      this.loading ??= Promise.all(this.videos.map(async (video) => {
        if (location.protocol.startsWith("http")) {
          try {
            video.src = URL.createObjectURL(await (await fetch(video.src)).blob());
          } catch { /* the address itself will do */ }
        }
        await this.ready(video);
      }));
      return this.loading;
    }

    key(event) {
      if (event.target.closest("select, summary, a, input:not(.seek)") || event.ctrlKey || event.metaKey || event.altKey) return;
      const range = event.target.closest(".seek");
      if (event.key === " " && !event.target.closest("button")) this.toggle();
      else if (event.key === "ArrowLeft" && !range) this.step(-1);
      else if (event.key === "ArrowRight" && !range) this.step(1);
      else return;
      event.preventDefault();
    }

    point(event) {
      const box = this.picture.getBoundingClientRect();
      const { left, width, seconds } = this.picture.dataset;
      const x = ((event.clientX - box.left) / box.width) * this.picture.viewBox.baseVal.width;
      this.seek(((x - Number(left)) / Number(width)) * Number(seconds));
    }

    listen(index) {
      this.videos.forEach((video, i) => {
        video.muted = i !== index;
        video.closest(".tile").classList.toggle("heard", i === index);
      });
    }

    pace(speed) {
      this.speed = speed;
      for (const video of this.videos) video.playbackRate = speed;
    }

    toggle() {
      if (this.playing) this.stop();
      else this.play();
    }

    async play() {
      for (const other of scenes) if (other !== this) other.stop();
      if (this.lead.ended || this.lead.currentTime >= this.length - 0.75 / this.fps) await this.seek(0);
      this.playing = true;
      this.find(".play").textContent = "Pause";
      await this.load();
      await Promise.all(this.videos.map((video) => this.ready(video)));
      if (!this.playing) return;
      this.pace(this.speed);
      await Promise.allSettled(this.videos.map((video) => video.play()));
      this.tick();
    }

    ready(video) {
      return new Promise((done) => {
        if (video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA && !video.seeking) return done();
        const settle = () => { video.removeEventListener("canplay", settle); video.removeEventListener("error", settle); done(); };
        video.addEventListener("canplay", settle);
        video.addEventListener("error", settle);
        if (video.readyState === HTMLMediaElement.HAVE_NOTHING) video.load();
        setTimeout(settle, 4000);
      });
    }

    stop() {
      if (!this.playing) return;
      this.playing = false;
      for (const video of this.videos) video.pause();
      this.find(".play").textContent = "Play";
      this.align();
      this.draw();
    }

    async step(frames) {
      this.stop();
      await this.load();
      const frame = Math.floor(this.lead.currentTime * this.fps + 1e-3);
      await this.seek((frame + frames + 0.5) / this.fps);
    }

    async seek(seconds) {
      await this.load();
      const time = Math.min(Math.max(seconds, 0), Math.max(this.length - 0.5 / this.fps, 0));
      for (const video of this.videos) video.currentTime = time;
      this.draw(time);
    }

    align() {
      for (const video of this.videos) if (video !== this.lead) video.currentTime = this.lead.currentTime;
    }

    tick() {
      if (!this.playing) return;
      let least = 0;
      for (const video of this.videos) {
        if (video === this.lead || video.ended || video.error || this.lead.currentTime > video.duration) continue;
        const ahead = (video.currentTime - this.lead.currentTime) * this.fps;
        least = Math.min(least, ahead);
        if (Math.abs(ahead) > FAR) video.currentTime = this.lead.currentTime;
        this.run(video, ahead < (video.paused ? AGAIN : AHEAD));
        if (!video.paused) this.steer(video, ahead);
      }
      if (!this.lead.ended) this.run(this.lead, least > (this.lead.paused ? -AGAIN : -BEHIND));
      this.draw();
      requestAnimationFrame(() => this.tick());
    }

    run(video, on) {
      if (on && video.paused) video.play().catch(() => {});
      else if (!on && !video.paused) video.pause();
    }

    // A new rate is felt late, and each change costs time of its own: change seldom, and wait for what it does.
    steer(video, ahead) {
      const now = performance.now();
      if (now < (this.held.get(video) || 0)) return;
      const pull = Math.abs(ahead) < NEAR ? 0 : Math.max(-0.25, Math.min(0.25, ahead * GAIN));
      const rate = this.speed * (1 - pull);
      if (Math.abs(rate - video.playbackRate) < LEAST) return;
      video.preservesPitch = !video.muted; // what nobody hears follows faster without it
      video.playbackRate = rate;
      this.held.set(video, now + HOLD);
    }

    draw(time = this.lead.currentTime) {
      this.find(".seek").value = String(Math.round((time / this.length) * 1000) || 0);
      this.find(".seek").setAttribute("aria-valuetext", `${time.toFixed(2)} seconds`);
      this.find(".time").textContent = `${time.toFixed(2)} s`;
      if (!this.picture) return;
      const { left, width, seconds } = this.picture.dataset;
      const x = Math.min(time / Number(seconds), 1) * Number(width);
      this.picture.querySelector(".playhead").setAttribute("transform", `translate(${x.toFixed(2)} 0)`);
    }
  }

  const scenes = [...document.querySelectorAll(".scene")].map((section) => new Scene(section));
  let current = scenes[0];
  const choose = (event) => {
    const section = event.target.closest && event.target.closest(".scene");
    if (section) current = scenes.find((scene) => scene.section === section);
  };
  document.addEventListener("focusin", choose);
  document.addEventListener("pointerdown", choose);
  document.addEventListener("keydown", (event) => current && current.key(event));
  window.thbenchScenes = scenes;
})();
